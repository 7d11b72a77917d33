#include <cmath>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/loops_internal.h"
#include "backends/cpu/scratch.h"

namespace tessera {
namespace {

constexpr int64_t kUpdateGrain = 16384;

/// Chunks of all tensors, one after another.
template <class Items, class Size, class F>
void for_chunks(const Items& items, Size&& size, F&& f) {
  const Scratch starts = Scratch::of<int64_t>(static_cast<int64_t>(items.size()) + 1);
  int64_t* start = starts.as<int64_t>();
  start[0] = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    start[i + 1] = start[i] + (size(items[i]) + kUpdateGrain - 1) / kUpdateGrain;
  }
  parallel_for(start[items.size()], [&](int64_t chunk) {
    const int64_t* after = std::upper_bound(start, start + items.size() + 1, chunk);
    const size_t item = static_cast<size_t>(after - start - 1);
    const int64_t begin = (chunk - start[item]) * kUpdateGrain;
    f(items[item], chunk, begin, std::min(begin + kUpdateGrain, size(items[item])));
  });
}

template <class T>
double square_sum(const T* x, int64_t n) {
  double lane[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int64_t k = 0; k < 8; ++k) lane[k] += static_cast<double>(x[i + k]) * static_cast<double>(x[i + k]);
  }
  for (int64_t k = 0; i < n; ++i, ++k) lane[k] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/// One chunk of one tensor; every constant is in the parameters' type, as the formula has them.
template <class T>
void adamw_chunk(const AdamWTensor& t, const AdamWArgs& a, T grad_scale, int64_t begin,
                 int64_t end) {
  const T b1 = static_cast<T>(a.beta1), b2 = static_cast<T>(a.beta2);
  const T c1 = static_cast<T>(1 - a.beta1), c2 = static_cast<T>(1 - a.beta2);
  const double step = static_cast<double>(a.step);
  const T rate = static_cast<T>(t.lr / (1 - std::pow(a.beta1, step)));
  const T root = static_cast<T>(1 / std::sqrt(1 - std::pow(a.beta2, step)));
  const T eps = static_cast<T>(a.eps), keep = static_cast<T>(1 - t.lr * t.weight_decay);
  T* p = t.param.as<T>();
  const T* grad = t.grad.as<T>();
  T *m = t.m.as<T>(), *v = t.v.as<T>();
  for (int64_t i = begin; i < end; ++i) {
    // Clipping a norm that is not finite gives 0, and 0 times infinity is no number.
    const T g = grad_scale == 0 ? T(0) : grad[i] * grad_scale;
    m[i] = b1 * m[i] + c1 * g;
    v[i] = b2 * v[i] + c2 * g * g;
    p[i] = p[i] * keep - rate * m[i] / (std::sqrt(v[i]) * root + eps);
  }
  if (t.average) {
    T* average = t.average.as<T>();
    const T d = static_cast<T>(a.average_decay), e = static_cast<T>(1 - a.average_decay);
    for (int64_t i = begin; i < end; ++i) average[i] = d * average[i] + e * p[i];
  }
}

}  // namespace

void CpuBackend::global_norm(std::span<const ConstView> tensors, View y) {
  auto size = [](const ConstView& v) { return v.numel(); };
  int64_t chunks = 0;
  for (const ConstView& v : tensors) chunks += (v.numel() + kUpdateGrain - 1) / kUpdateGrain;
  const Scratch partial = Scratch::of<double>(chunks);
  for_chunks(tensors, size, [&](const ConstView& v, int64_t chunk, int64_t begin, int64_t end) {
    partial.as<double>()[chunk] = v.dtype == DType::f64
                                      ? square_sum(v.as<double>() + begin, end - begin)
                                      : square_sum(v.as<float>() + begin, end - begin);
  });
  double total = 0;
  for (int64_t i = 0; i < chunks; ++i) total += partial.as<double>()[i];
  if (y.dtype == DType::f64) {
    *y.as<double>() = std::sqrt(total);
  } else {
    *y.as<float>() = static_cast<float>(std::sqrt(total));
  }
}

void CpuBackend::adamw(std::span<const AdamWTensor> tensors, const AdamWArgs& args) {
  double scale = 1;
  if (args.grad_scale) {
    scale = args.grad_scale.dtype == DType::f64
                ? *args.grad_scale.as<double>()
                : static_cast<double>(*args.grad_scale.as<float>());
  }
  auto size = [](const AdamWTensor& t) { return t.param.numel(); };
  for_chunks(tensors, size, [&](const AdamWTensor& t, int64_t, int64_t begin, int64_t end) {
    if (t.param.dtype == DType::f64) {
      adamw_chunk<double>(t, args, scale, begin, end);
    } else {
      adamw_chunk<float>(t, args, static_cast<float>(scale), begin, end);
    }
  });
}

}  // namespace tessera
