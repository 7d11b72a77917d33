#include "backends/cpu/isa/update.h"

#include "backends/cpu/isa/simd.h"

namespace tessera {
namespace {

template <class V, class T>
[[gnu::flatten]] void adamw(const AdamWConstants<T>& k, const T* grad, T* param, T* m, T* v,
                            T* average, int64_t n) {
  const V scale(k.scale), b1(k.beta1), c1(k.one_minus_beta1), b2(k.beta2), c2(k.one_minus_beta2);
  const V keep(k.keep), rate(k.rate), root(k.root), eps(k.eps);
  const V decay(k.decay), fresh(k.one_minus_decay);
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t count = n - i < 16 ? n - i : 16;
    const bool whole = count == 16;
    const auto load = [&](const T* p) { return whole ? V::load(p + i) : V::load(p + i, count); };
    const auto store = [&](V x, T* p) { whole ? x.store(p + i) : x.store(p + i, count); };
    // Clipping a norm that is not finite gives 0, and 0 times infinity is no number.
    const V g = k.scale == T(0) ? V(T(0)) : load(grad) * scale;
    const V new_m = b1 * load(m) + c1 * g;
    const V new_v = b2 * load(v) + c2 * g * g;
    const V p = load(param) * keep - rate * new_m / (sqrt(new_v) * root + eps);
    store(new_m, m);
    store(new_v, v);
    store(p, param);
    if (average != nullptr) store(decay * load(average) + fresh * p, average);
  }
}

/// Sixteen lanes and a fixed tree.
template <class T>
double square_sum(const T* x, int64_t n) {
  double lane[16] = {};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (int k = 0; k < 16; ++k) {
      lane[k] += static_cast<double>(x[i + k]) * static_cast<double>(x[i + k]);
    }
  }
  for (int k = 0; i < n; ++i, ++k) lane[k] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  for (int width = 8; width > 0; width /= 2) {
    for (int k = 0; k < width; ++k) lane[k] += lane[k + width];
  }
  return lane[0];
}

}  // namespace

namespace TESSERA_ISA {
extern const UpdateKernels update_kernels = {
    .adamw_f32 = adamw<F32x16, float>,
    .adamw_f64 = adamw<F64x16, double>,
    .square_sum_f32 = square_sum<float>,
    .square_sum_f64 = square_sum<double>,
};
}

}  // namespace tessera
