#include "tensor/ops/random.h"

#include <cmath>
#include <numeric>

#include "tensor/base/parallel.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/op_internal.h"

namespace tessera {

namespace {

/// Where words are drawn: the dtype itself, or f32 for 16-bit types.
Tensor drawn(std::string_view op, const Shape& shape, const TensorOptions& options) {
  check<DTypeError>(is_floating(options.dtype), "{}: dtype is {}, but must be floating", op,
                    options.dtype);
  return empty(shape, {compute_dtype(options.dtype), options.device});
}

template <int n>
double polynomial(const double (&c)[n], double t) {
  double y = c[n - 1];
  for (int i = n - 2; i >= 0; --i) y = y * t + c[i];
  return y;
}

/// z with Phi(z) = p, for p in (0, 1): x times a polynomial, where x = 2p - 1.
///
/// Both polynomials interpolate z / x at Chebyshev points (computed in 50 digits): as a function of
/// w = -log(1 - x^2) on [0, 6], and of sqrt(w) on [sqrt 6, 6], which is |z| up to 8.2. Relative
/// errors 3e-14 and 2e-10. The variable w is that of Giles, "Approximating the erfinv function",
/// GPU Computing Gems, 2011.
double normal_quantile(double p) {
  static constexpr double kCentre[] = {
      2.2960351246249896212,       1.0251509839605062899,      -0.073034537869921347918,
      -0.031928569462263911084,    0.02234452797443957849,     -0.0043700480745875010041,
      -0.001802122582679925561,    0.0013917522382591062488,   -0.0002198044029941622126,
      -0.00015217914863018465112,  0.000092781630104154867099, -7.8892989898867358418e-6,
      -0.000013078274327420037386, 6.1198458435940746618e-6,   1.2715575565858601256e-7,
      -1.1209320764618592323e-6,   3.0602069972329025612e-7,   9.0664028657084459108e-8,
      -4.7168509290285206439e-8};
  static constexpr double kTail[] = {
      5.751205991899859043,        2.5355479130325674981,      0.0033856181710361643106,
      -0.0049832062247613409998,   0.0030977817544073506098,   -0.0016855658070290664214,
      0.0010545588342800322591,    -0.00094587860554713767302, 0.00093770972273031367936,
      -0.0007394716338269673393,   0.00065192211854026043871,  -0.00070986848912978096162,
      0.00025074986906526437944,   0.00038887224687679943109,  -0.00031255871017648851493,
      -0.000034681146594142714261, 0.000058755891755775267822};
  constexpr double kLow = 2.4494897427831780982;  // sqrt(6)
  const double x = 2 * p - 1;
  const double w = std::min(36.0, -std::log(4 * p * (1 - p)));
  if (w <= 6) return x * polynomial(kCentre, w / 3 - 1);
  return x * polynomial(kTail, (2 * std::sqrt(w) - (6 + kLow)) / (6 - kLow));
}

}  // namespace

Tensor uniform(const Shape& shape, RandomKey key, const TensorOptions& options, double low,
               double high) {
  check<ValueError>(low < high && std::isfinite(high - low),
                    "uniform: low is {}, which is not below high {}", low, high);
  const Tensor y = drawn("uniform", shape, options);
  if (y.numel() > 0) {
    Backend& backend = detail::backend_of(y);
    const View v = y.mutable_view();
    backend.uniform(key, v);
    if (low != 0 || high != 1) {
      backend.unary(unary_op(MulScalar{high - low}), v, v);
      backend.unary(unary_op(AddScalar{low}), v, v);
      // Rounding may reach `high`, which is outside.
      const double last = y.dtype() == DType::f32
                              ? std::nextafter(static_cast<float>(high), static_cast<float>(low))
                              : std::nextafter(high, low);
      backend.unary(unary_op(Clamp{low, last}), v, v);
    }
  }
  return y.to(options.dtype);
}

Tensor normal(const Shape& shape, RandomKey key, const TensorOptions& options) {
  const Tensor y = drawn("normal", shape, options);
  if (y.numel() > 0) detail::backend_of(y).normal(key, y.mutable_view());
  return y.to(options.dtype);
}

Tensor truncated_normal(const Shape& shape, RandomKey key, double std, double bound,
                        const TensorOptions& options) {
  check<ValueError>(std >= 0 && std::isfinite(std),
                    "truncated_normal: std is {}, but must be at least 0 and finite", std);
  check<ValueError>(bound > 0, "truncated_normal: bound is {}, but must be positive", bound);
  check<DTypeError>(is_floating(options.dtype),
                    "truncated_normal: dtype is {}, but must be floating", options.dtype);
  const double outside = std::erfc(bound * kSqrtHalf) / 2;  // probability of each cut tail
  const Tensor y = uniform(shape, key, {compute_dtype(options.dtype), kCpu});
  visit_dtype(y.dtype(), [&]<class T>(TypeTag<T>) {
    if constexpr (std::is_floating_point_v<T>) {
      T* at = y.template data<T>();
      parallel_ranges(y.numel(), 4096, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          // The quarter of the smallest step keeps p off 0 where `bound` cuts nothing.
          const double p = outside + (1 - 2 * outside) * (static_cast<double>(at[i]) + 0x1p-26);
          at[i] = static_cast<T>(std * std::min(bound, std::max(-bound, normal_quantile(p))));
        }
      });
    }
  });
  return y.to(options.dtype).to(options.device);
}

Tensor bernoulli(const Shape& shape, RandomKey key, double p, const Device& device) {
  check<ValueError>(p >= 0 && p <= 1, "bernoulli: p is {}, but must be in [0, 1]", p);
  return uniform(shape, key, {DType::f32, device}) < p;
}

Tensor randperm(int64_t n, RandomKey key) {
  check<ShapeError>(n >= 0 && n <= 0x100000000, "randperm: n is {}, but must be in 0 ... 2^32", n);
  const Tensor y = empty({n}, {.dtype = DType::i64});
  if (n == 0) return y;
  auto* at = y.data<int64_t>();
  std::iota(at, at + n, int64_t{0});
  RandomStream stream(key);
  for (int64_t i = n - 1; i > 0; --i) std::swap(at[i], at[stream.integer(i + 1)]);
  return y;
}

}  // namespace tessera
