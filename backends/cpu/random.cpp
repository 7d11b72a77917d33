#include <cmath>

#include "backends/cpu/cpu_backend.h"
#include "tensor/base/parallel.h"

namespace tessera {
namespace {

constexpr int64_t kRandomGrain = 8192;  // elements a chunk; a multiple of 4

/// Calls f(i, words, count) for each block of four elements: i = 0, 4, 8, …; the last may be short.
template <class F>
void for_blocks(RandomKey key, int64_t n, F&& f) {
  parallel_ranges(n, kRandomGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += 4) {
      f(i, philox(key.value, static_cast<uint64_t>(i / 4)), std::min<int64_t>(4, end - i));
    }
  });
}

template <class T>
void uniform_into(RandomKey key, T* y, int64_t n) {
  for_blocks(key, n, [&](int64_t i, const Philox4& words, int64_t count) {
    for (int64_t k = 0; k < count; ++k) y[i + k] = static_cast<T>(uniform_from(words.word[k]));
  });
}

/// Box-Muller in f64, so that the same library function serves all.
template <class T>
void normal_into(RandomKey key, T* y, int64_t n) {
  for_blocks(key, n, [&](int64_t i, const Philox4& words, int64_t count) {
    for (int64_t pair = 0; pair < 2; ++pair) {
      const double u = (static_cast<double>(words.word[2 * pair]) + 0.5) * 0x1p-32;
      const double angle = 6.283185307179586 * static_cast<double>(words.word[2 * pair + 1]) * 0x1p-32;
      const double radius = std::sqrt(-2 * std::log(u));
      const double values[2] = {radius * std::cos(angle), radius * std::sin(angle)};
      for (int64_t k = 0; k < 2 && 2 * pair + k < count; ++k) {
        y[i + 2 * pair + k] = static_cast<T>(values[k]);
      }
    }
  });
}

template <class T>
void dropout_into(RandomKey key, double p, const T* x, T* y, int64_t n) {
  const float threshold = static_cast<float>(p);
  const T scale = static_cast<T>(1 / (1 - p));
  for_blocks(key, n, [&](int64_t i, const Philox4& words, int64_t count) {
    for (int64_t k = 0; k < count; ++k) {
      y[i + k] = uniform_from(words.word[k]) >= threshold ? x[i + k] * scale : T(0);
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
  x.dtype == DType::f64 ? dropout_into(key, p, x.as<double>(), y.as<double>(), y.numel())
                        : dropout_into(key, p, x.as<float>(), y.as<float>(), y.numel());
}

}  // namespace tessera
