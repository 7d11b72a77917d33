#include "backends/cpu/isa/random.h"

#include <algorithm>
#include <cmath>

#include "backends/cpu/convert_internal.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_features.h"
#include "tensor/base/parallel.h"

namespace tessera {
namespace {

constexpr int64_t kRandomGrain = 8192;  // elements a chunk
constexpr int64_t kBlock = 512;         // elements at a time: 128 Philox blocks
static_assert(kRandomGrain % kBlock == 0 && kBlock % 64 == 0);

const RandomKernels& random_kernels() { return TESSERA_OF_ACTIVE_ISA(random_kernels); }

/// Calls f(i, drawn, count) for elements i … i + count - 1, with what `draw(key, first block,
/// blocks, out)` made for them.
template <class T, class Draw, class F>
void for_drawn(RandomKey key, int64_t n, Draw draw, F&& f) {
  parallel_ranges(n, kRandomGrain, [&](int64_t begin, int64_t end) {
    T drawn[kBlock];
    for (int64_t i = begin; i < end; i += kBlock) {
      const int64_t count = std::min(kBlock, end - i);
      draw(key.value, static_cast<uint64_t>(i / 4), (count + 63) / 64 * 16, drawn);
      f(i, drawn, count);
    }
  });
}

template <class T>
void uniform_into(RandomKey key, T* y, int64_t n) {
  for_drawn<float>(key, n, random_kernels().uniform,
                   [&](int64_t i, const float* drawn, int64_t count) {
                     for (int64_t k = 0; k < count; ++k) y[i + k] = static_cast<T>(drawn[k]);
                   });
}

/// The same words as for f32, through libm.
void normal_into(RandomKey key, double* y, int64_t n) {
  for_drawn<uint32_t>(
      key, n, random_kernels().words, [&](int64_t i, const uint32_t* words, int64_t count) {
        for (int64_t k = 0; k < count; k += 2) {
          const double u = (static_cast<double>(words[k]) + 0.5) * 0x1p-32;
          const double angle = 6.283185307179586 * static_cast<double>(words[k + 1]) * 0x1p-32;
          const double radius = std::sqrt(-2 * std::log(u));
          y[i + k] = radius * std::cos(angle);
          if (k + 1 < count) y[i + k + 1] = radius * std::sin(angle);
        }
      });
}

void normal_into(RandomKey key, float* y, int64_t n) {
  for_drawn<float>(
      key, n, random_kernels().normal,
      [&](int64_t i, const float* drawn, int64_t count) { std::copy_n(drawn, count, y + i); });
}

void dropout_into(RandomKey key, double p, const float* x, float* y, int64_t n) {
  const RandomKernels& k = random_kernels();
  const float threshold = static_cast<float>(p), scale = static_cast<float>(1 / (1 - p));
  for_drawn<float>(key, n, k.uniform, [&](int64_t i, const float* drawn, int64_t count) {
    k.dropout(drawn, threshold, scale, x + i, y + i, count);
  });
}

template <class T>
void dropout_into(RandomKey key, double p, const T* x, T* y, int64_t n) {
  using C = Compute<T>;
  const float threshold = static_cast<float>(p);
  const C scale = static_cast<C>(1 / (1 - p));
  for_drawn<float>(key, n, random_kernels().uniform,
                   [&](int64_t i, const float* drawn, int64_t count) {
                     for (int64_t k = 0; k < count; ++k) {
                       const C kept = widen(x[i + k]) * scale;
                       y[i + k] = convert<T>(drawn[k] >= threshold ? kept : C(0));
                     }
                   });
}

}  // namespace

void CpuBackend::uniform(RandomKey key, View y) {
  y.dtype == DType::f64 ? uniform_into(key, y.as<double>(), y.numel())
                        : uniform_into(key, y.as<float>(), y.numel());
}

void CpuBackend::normal(RandomKey key, View y) {
  y.dtype == DType::f64 ? normal_into(key, y.as<double>(), y.numel())
                        : normal_into(key, y.as<float>(), y.numel());
}

void CpuBackend::dropout(RandomKey key, double p, ConstView x, View y) {
  switch (x.dtype) {
    case DType::f64:
      return dropout_into(key, p, x.as<double>(), y.as<double>(), y.numel());
    case DType::f32:
      return dropout_into(key, p, x.as<float>(), y.as<float>(), y.numel());
    case DType::bf16:
      return dropout_into(key, p, x.as<bf16>(), y.as<bf16>(), y.numel());
    default:
      fail<InternalError>("cpu dropout: {}", x.dtype);
  }
}

}  // namespace tessera
