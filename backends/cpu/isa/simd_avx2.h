#pragma once

#include <cstdint>

#include <immintrin.h>

/// `F32x16` in two ymm registers. Described in simd.h.
namespace tessera {
namespace {

/// n of these from `kLaneMask + 16 - n` are set, the rest clear.
alignas(64) constexpr int32_t kLaneMask[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                               -1, -1, -1, -1, -1, 0,  0,  0,  0,  0,  0,
                                               0,  0,  0,  0,  0,  0,  0,  0,  0,  0};

struct Mask32x16 {
  __m256 lo, hi;
};

struct F32x16 {
  using Scalar = float;
  using Mask = Mask32x16;
  static constexpr int kLanes = 16;

  __m256 lo, hi;

  F32x16() = default;
  F32x16(__m256 low, __m256 high) : lo(low), hi(high) {}
  explicit F32x16(float x) : lo(_mm256_set1_ps(x)), hi(lo) {}
  explicit F32x16(double x) : F32x16(static_cast<float>(x)) {}
  explicit F32x16(int x) : F32x16(static_cast<float>(x)) {}

  static Mask first(int64_t n) {
    const int32_t* m = kLaneMask + 16 - n;
    return {_mm256_castsi256_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(m))),
            _mm256_castsi256_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(m + 8)))};
  }
  static F32x16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static F32x16 load(const float* p, int64_t n) {
    const Mask m = first(n);
    return {_mm256_maskload_ps(p, _mm256_castps_si256(m.lo)),
            _mm256_maskload_ps(p + 8, _mm256_castps_si256(m.hi))};
  }
  void store(float* p) const {
    _mm256_storeu_ps(p, lo);
    _mm256_storeu_ps(p + 8, hi);
  }
  void store(float* p, int64_t n) const {
    const Mask m = first(n);
    _mm256_maskstore_ps(p, _mm256_castps_si256(m.lo), lo);
    _mm256_maskstore_ps(p + 8, _mm256_castps_si256(m.hi), hi);
  }
};

inline F32x16 operator+(F32x16 a, F32x16 b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
inline F32x16 operator-(F32x16 a, F32x16 b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
inline F32x16 operator*(F32x16 a, F32x16 b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
inline F32x16 operator/(F32x16 a, F32x16 b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
inline F32x16 operator-(F32x16 a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_xor_ps(a.lo, sign), _mm256_xor_ps(a.hi, sign)};
}
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
inline F32x16 max(F32x16 a, F32x16 b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
inline F32x16 min(F32x16 a, F32x16 b) {
  return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
inline F32x16 abs(F32x16 a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
inline F32x16 sqrt(F32x16 a) { return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }

template <int predicate>
inline Mask32x16 compare(F32x16 a, F32x16 b) {
  return {_mm256_cmp_ps(a.lo, b.lo, predicate), _mm256_cmp_ps(a.hi, b.hi, predicate)};
}
inline Mask32x16 operator<(F32x16 a, F32x16 b) { return compare<_CMP_LT_OQ>(a, b); }
inline Mask32x16 operator<=(F32x16 a, F32x16 b) { return compare<_CMP_LE_OQ>(a, b); }
inline Mask32x16 operator>(F32x16 a, F32x16 b) { return compare<_CMP_GT_OQ>(a, b); }
inline Mask32x16 operator>=(F32x16 a, F32x16 b) { return compare<_CMP_GE_OQ>(a, b); }
inline Mask32x16 operator==(F32x16 a, F32x16 b) { return compare<_CMP_EQ_OQ>(a, b); }
inline Mask32x16 operator!=(F32x16 a, F32x16 b) { return compare<_CMP_NEQ_UQ>(a, b); }
inline Mask32x16 operator&(Mask32x16 a, Mask32x16 b) {
  return {_mm256_and_ps(a.lo, b.lo), _mm256_and_ps(a.hi, b.hi)};
}
inline Mask32x16 operator|(Mask32x16 a, Mask32x16 b) {
  return {_mm256_or_ps(a.lo, b.lo), _mm256_or_ps(a.hi, b.hi)};
}
inline Mask32x16 operator!(Mask32x16 a) {
  const __m256 all = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
  return {_mm256_xor_ps(a.lo, all), _mm256_xor_ps(a.hi, all)};
}
inline uint32_t lanes(Mask32x16 m) {
  return static_cast<uint32_t>(_mm256_movemask_ps(m.lo)) |
         static_cast<uint32_t>(_mm256_movemask_ps(m.hi)) << 8;
}
inline bool any(Mask32x16 m) { return lanes(m) != 0; }
inline F32x16 select(Mask32x16 m, F32x16 a, F32x16 b) {
  return {_mm256_blendv_ps(b.lo, a.lo, m.lo), _mm256_blendv_ps(b.hi, a.hi, m.hi)};
}

inline float sum(F32x16 a) {
  const __m256 y8 = _mm256_add_ps(a.lo, a.hi);
  const __m128 y4 = _mm_add_ps(_mm256_castps256_ps128(y8), _mm256_extractf128_ps(y8, 1));
  const __m128 y2 = _mm_add_ps(y4, _mm_movehl_ps(y4, y4));
  return _mm_cvtss_f32(_mm_add_ss(y2, _mm_movehdup_ps(y2)));
}
inline float max_of(F32x16 a) {
  const __m256 y8 = _mm256_max_ps(a.lo, a.hi);
  const __m128 y4 = _mm_max_ps(_mm256_castps256_ps128(y8), _mm256_extractf128_ps(y8, 1));
  const __m128 y2 = _mm_max_ps(y4, _mm_movehl_ps(y4, y4));
  return _mm_cvtss_f32(_mm_max_ss(y2, _mm_movehdup_ps(y2)));
}
inline float min_of(F32x16 a) { return -max_of(-a); }

namespace bits {
/// p times 2^n, where n sits in the low bits of t = n + 1.5 2^23.
inline F32x16 scale(F32x16 p, F32x16 t) {
  const auto one = [](__m256 q, __m256 u) {
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_slli_epi32(_mm256_castps_si256(u), 23), _mm256_castps_si256(q)));
  };
  return {one(p.lo, t.lo), one(p.hi, t.hi)};
}
/// x = m 2^e with m in [1/sqrt(2), sqrt(2)), for normal positive x.
inline F32x16 split(F32x16 x, F32x16& e) {
  const __m256i base = _mm256_set1_epi32(0x3F3504F3);
  const auto one = [&](__m256 v, __m256& exponent) {
    const __m256i u = _mm256_castps_si256(v);
    const __m256i k = _mm256_srai_epi32(_mm256_sub_epi32(u, base), 23);
    exponent = _mm256_cvtepi32_ps(k);
    return _mm256_castsi256_ps(_mm256_sub_epi32(u, _mm256_slli_epi32(k, 23)));
  };
  F32x16 m;
  m.lo = one(x.lo, e.lo);
  m.hi = one(x.hi, e.hi);
  return m;
}
/// |x| with the sign of s.
inline F32x16 copy_sign(F32x16 x, F32x16 s) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  const auto one = [&](__m256 v, __m256 from) {
    return _mm256_or_ps(_mm256_andnot_ps(sign, v), _mm256_and_ps(sign, from));
  };
  return {one(x.lo, s.lo), one(x.hi, s.hi)};
}
}  // namespace bits

}  // namespace
}  // namespace tessera
