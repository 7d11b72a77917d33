#include "backends/cpu/isa/reduce.h"

#include "backends/cpu/isa/simd.h"
#include "tensor/base/scalar_math.h"

namespace tessera {
namespace {

/// Folds with `f` (Maximum or Minimum), starting from `start` in every lane.
template <class F>
[[gnu::flatten]] float fold_row(F f, float start, const float* x, int64_t n) {
  const F32x16 neutral(start);
  F32x16 a = neutral, b = neutral, c = neutral, d = neutral;
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    a = f(a, F32x16::load(x + i));
    b = f(b, F32x16::load(x + i + 16));
    c = f(c, F32x16::load(x + i + 32));
    d = f(d, F32x16::load(x + i + 48));
  }
  for (; i + 16 <= n; i += 16) a = f(a, F32x16::load(x + i));
  if (i < n) b = f(b, select(F32x16::first(n - i), F32x16::load(x + i, n - i), neutral));
  a = f(f(a, b), f(c, d));
  float lane[32];
  for (int width = 8; width > 0; width /= 2) {
    a.store(lane);
    neutral.store(lane + 16);
    a = f(a, F32x16::load(lane + width));
  }
  a.store(lane);
  return lane[0];
}

float max_row(const float* x, int64_t n) { return fold_row(Maximum{}, -__builtin_inff(), x, n); }
float min_row(const float* x, int64_t n) { return fold_row(Minimum{}, __builtin_inff(), x, n); }

template <class F>
[[gnu::flatten]] void fold_into(F f, const float* x, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) f(F32x16::load(y + i), F32x16::load(x + i)).store(y + i);
  if (i < n) f(F32x16::load(y + i, n - i), F32x16::load(x + i, n - i)).store(y + i, n - i);
}

void max_into(const float* x, float* y, int64_t n) { fold_into(Maximum{}, x, y, n); }
void min_into(const float* x, float* y, int64_t n) { fold_into(Minimum{}, x, y, n); }

int64_t find(const float* x, int64_t n, float value) {
  const bool nan = value != value;
  const F32x16 wanted(value);
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const F32x16 v = F32x16::load(x + i);
    const uint32_t hit = lanes(nan ? v != v : v == wanted);
    if (hit != 0) return i + __builtin_ctz(hit);
  }
  for (; i < n; ++i) {
    if (nan ? x[i] != x[i] : x[i] == value) return i;
  }
  return n;
}

}  // namespace

namespace TESSERA_ISA {
extern const ReduceKernels reduce_kernels = {
    .max_row = max_row,
    .min_row = min_row,
    .max_into = max_into,
    .min_into = min_into,
    .find = find,
};
}

}  // namespace tessera
