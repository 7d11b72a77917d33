#pragma once

// g++ 12 finds its own placeholders for "undefined" vectors uninitialised.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include <cstdint>

/// `F32x16` in one zmm register. Described in simd.h.
namespace tessera {
namespace {

struct Mask32x16 {
  __mmask16 m;
};

struct F32x16 {
  using Scalar = float;
  using Mask = Mask32x16;
  static constexpr int kLanes = 16;

  __m512 r;

  F32x16() = default;
  explicit F32x16(__m512 x) : r(x) {}
  explicit F32x16(float x) : r(_mm512_set1_ps(x)) {}
  explicit F32x16(double x) : F32x16(static_cast<float>(x)) {}
  explicit F32x16(int x) : F32x16(static_cast<float>(x)) {}

  static Mask first(int64_t n) { return {static_cast<__mmask16>((1u << n) - 1u)}; }
  static F32x16 load(const float* p) { return F32x16(_mm512_loadu_ps(p)); }
  static F32x16 load(const float* p, int64_t n) {
    return F32x16(_mm512_maskz_loadu_ps(first(n).m, p));
  }
  void store(float* p) const { _mm512_storeu_ps(p, r); }
  void store(float* p, int64_t n) const { _mm512_mask_storeu_ps(p, first(n).m, r); }
};

inline F32x16 operator+(F32x16 a, F32x16 b) { return F32x16(_mm512_add_ps(a.r, b.r)); }
inline F32x16 operator-(F32x16 a, F32x16 b) { return F32x16(_mm512_sub_ps(a.r, b.r)); }
inline F32x16 operator*(F32x16 a, F32x16 b) { return F32x16(_mm512_mul_ps(a.r, b.r)); }
inline F32x16 operator/(F32x16 a, F32x16 b) { return F32x16(_mm512_div_ps(a.r, b.r)); }
inline F32x16 operator-(F32x16 a) { return F32x16(_mm512_xor_ps(a.r, _mm512_set1_ps(-0.0f))); }
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return F32x16(_mm512_fmadd_ps(a.r, b.r, c.r)); }
inline F32x16 max(F32x16 a, F32x16 b) { return F32x16(_mm512_max_ps(a.r, b.r)); }
inline F32x16 min(F32x16 a, F32x16 b) { return F32x16(_mm512_min_ps(a.r, b.r)); }
inline F32x16 abs(F32x16 a) { return F32x16(_mm512_andnot_ps(_mm512_set1_ps(-0.0f), a.r)); }
inline F32x16 sqrt(F32x16 a) { return F32x16(_mm512_sqrt_ps(a.r)); }

template <int predicate>
inline Mask32x16 compare(F32x16 a, F32x16 b) {
  return {_mm512_cmp_ps_mask(a.r, b.r, predicate)};
}
inline Mask32x16 operator<(F32x16 a, F32x16 b) { return compare<_CMP_LT_OQ>(a, b); }
inline Mask32x16 operator<=(F32x16 a, F32x16 b) { return compare<_CMP_LE_OQ>(a, b); }
inline Mask32x16 operator>(F32x16 a, F32x16 b) { return compare<_CMP_GT_OQ>(a, b); }
inline Mask32x16 operator>=(F32x16 a, F32x16 b) { return compare<_CMP_GE_OQ>(a, b); }
inline Mask32x16 operator==(F32x16 a, F32x16 b) { return compare<_CMP_EQ_OQ>(a, b); }
inline Mask32x16 operator!=(F32x16 a, F32x16 b) { return compare<_CMP_NEQ_UQ>(a, b); }
inline Mask32x16 operator&(Mask32x16 a, Mask32x16 b) { return {static_cast<__mmask16>(a.m & b.m)}; }
inline Mask32x16 operator|(Mask32x16 a, Mask32x16 b) { return {static_cast<__mmask16>(a.m | b.m)}; }
inline Mask32x16 operator!(Mask32x16 a) { return {static_cast<__mmask16>(~a.m)}; }
inline uint32_t lanes(Mask32x16 m) { return m.m; }
inline bool any(Mask32x16 m) { return m.m != 0; }
inline F32x16 select(Mask32x16 m, F32x16 a, F32x16 b) {
  return F32x16(_mm512_mask_blend_ps(m.m, b.r, a.r));
}

inline float sum(F32x16 a) {
  const __m256 y8 = _mm256_add_ps(_mm512_castps512_ps256(a.r), _mm512_extractf32x8_ps(a.r, 1));
  const __m128 y4 = _mm_add_ps(_mm256_castps256_ps128(y8), _mm256_extractf128_ps(y8, 1));
  const __m128 y2 = _mm_add_ps(y4, _mm_movehl_ps(y4, y4));
  return _mm_cvtss_f32(_mm_add_ss(y2, _mm_movehdup_ps(y2)));
}
inline float max_of(F32x16 a) {
  const __m256 y8 = _mm256_max_ps(_mm512_castps512_ps256(a.r), _mm512_extractf32x8_ps(a.r, 1));
  const __m128 y4 = _mm_max_ps(_mm256_castps256_ps128(y8), _mm256_extractf128_ps(y8, 1));
  const __m128 y2 = _mm_max_ps(y4, _mm_movehl_ps(y4, y4));
  return _mm_cvtss_f32(_mm_max_ss(y2, _mm_movehdup_ps(y2)));
}
inline float min_of(F32x16 a) { return -max_of(-a); }

namespace bits {
/// p times 2^n, where n sits in the low bits of t = n + 1.5 2^23.
inline F32x16 scale(F32x16 p, F32x16 t) {
  return F32x16(_mm512_castsi512_ps(
      _mm512_add_epi32(_mm512_slli_epi32(_mm512_castps_si512(t.r), 23), _mm512_castps_si512(p.r))));
}
/// x = m 2^e with m in [1/sqrt(2), sqrt(2)), for normal positive x.
inline F32x16 split(F32x16 x, F32x16& e) {
  const __m512i u = _mm512_castps_si512(x.r);
  const __m512i k = _mm512_srai_epi32(_mm512_sub_epi32(u, _mm512_set1_epi32(0x3F3504F3)), 23);
  e = F32x16(_mm512_cvtepi32_ps(k));
  return F32x16(_mm512_castsi512_ps(_mm512_sub_epi32(u, _mm512_slli_epi32(k, 23))));
}
/// |x| with the sign of s.
inline F32x16 copy_sign(F32x16 x, F32x16 s) {
  const __m512 sign = _mm512_set1_ps(-0.0f);
  return F32x16(_mm512_or_ps(_mm512_andnot_ps(sign, x.r), _mm512_and_ps(sign, s.r)));
}
}  // namespace bits

}  // namespace
}  // namespace tessera
