#include "backends/cpu/isa/elementwise.h"

#include "backends/cpu/isa/simd.h"

namespace tessera {
namespace {

template <class F>
[[gnu::flatten]] void run_unary(F f, const float* x, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) f(F32x16::load(x + i)).store(y + i);
  if (i < n) f(F32x16::load(x + i, n - i)).store(y + i, n - i);
}

void unary(UnaryOp op, const float* x, float* y, int64_t n) {
  visit(op, [&](auto f) { run_unary(f, x, y, n); });
}

template <class F>
[[gnu::flatten]] void run_binary(F f, const float* a, int64_t sa, const float* b, int64_t sb,
                                 float* y, int64_t n) {
  int64_t i = 0;
  if (sa == 1 && sb == 1) {
    for (; i + 16 <= n; i += 16) f(F32x16::load(a + i), F32x16::load(b + i)).store(y + i);
    if (i < n) f(F32x16::load(a + i, n - i), F32x16::load(b + i, n - i)).store(y + i, n - i);
  } else if (sa == 1) {
    const F32x16 right(*b);
    for (; i + 16 <= n; i += 16) f(F32x16::load(a + i), right).store(y + i);
    if (i < n) f(F32x16::load(a + i, n - i), right).store(y + i, n - i);
  } else if (sb == 1) {
    const F32x16 left(*a);
    for (; i + 16 <= n; i += 16) f(left, F32x16::load(b + i)).store(y + i);
    if (i < n) f(left, F32x16::load(b + i, n - i)).store(y + i, n - i);
  } else {
    const F32x16 both = f(F32x16(*a), F32x16(*b));
    for (; i + 16 <= n; i += 16) both.store(y + i);
    if (i < n) both.store(y + i, n - i);
  }
}

void binary(BinaryOp op, const float* a, int64_t sa, const float* b, int64_t sb, float* y,
            int64_t n) {
  visit(op, [&](auto f) { run_binary(f, a, sa, b, sb, y, n); });
}

// Integer arithmetic that the compiler vectorises. half.h's own functions may not be used here:
// they are inline functions with external linkage.
void bf16_to_f32(const uint16_t* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    y[i] = __builtin_bit_cast(float, static_cast<uint32_t>(x[i]) << 16);
  }
}

void f32_to_bf16(const float* x, uint16_t* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t u = __builtin_bit_cast(uint32_t, x[i]);
    const uint32_t rounded = (u + 0x7FFFu + (u >> 16 & 1u)) >> 16, nan = u >> 16 | 0x40u;
    y[i] = static_cast<uint16_t>((u & 0x7FFFFFFFu) > 0x7F800000u ? nan : rounded);
  }
}

#if defined(__AVX__)
void transpose8(const float* x, int64_t x_stride, float* y, int64_t y_stride) {
  __m256 r[8], t[8];
  for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(x + i * x_stride);
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xEE);
    r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
  }
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(y + i * y_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(y + (i + 4) * y_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}
#else
void transpose8(const float* x, int64_t x_stride, float* y, int64_t y_stride) {
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 8; ++j) y[j * y_stride + i] = x[i * x_stride + j];
  }
}
#endif

}  // namespace

namespace TESSERA_ISA {
extern const ElementwiseKernels elementwise_kernels = {
    .unary = unary,
    .binary = binary,
    .bf16_to_f32 = bf16_to_f32,
    .f32_to_bf16 = f32_to_bf16,
    .transpose8 = transpose8,
};
}

}  // namespace tessera
