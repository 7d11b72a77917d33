#pragma once

#include <cstdint>

/// `F32x16` as a plain array, for any processor, and the reference of the others in tests.
/// Described in simd.h.
namespace tessera {
namespace {

struct Mask32x16 {
  bool v[16];
};

struct F32x16 {
  using Scalar = float;
  using Mask = Mask32x16;
  static constexpr int kLanes = 16;

  float v[16];

  F32x16() = default;
  explicit F32x16(float x) {
    for (float& lane : v) lane = x;
  }
  explicit F32x16(double x) : F32x16(static_cast<float>(x)) {}
  explicit F32x16(int x) : F32x16(static_cast<float>(x)) {}

  static Mask first(int64_t n) {
    Mask m;
    for (int i = 0; i < 16; ++i) m.v[i] = i < n;
    return m;
  }
  static F32x16 load(const float* p) {
    F32x16 y;
    for (int i = 0; i < 16; ++i) y.v[i] = p[i];
    return y;
  }
  static F32x16 load(const float* p, int64_t n) {
    F32x16 y;
    for (int i = 0; i < 16; ++i) y.v[i] = i < n ? p[i] : 0.0f;
    return y;
  }
  void store(float* p) const {
    for (int i = 0; i < 16; ++i) p[i] = v[i];
  }
  void store(float* p, int64_t n) const {
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }
};

/// y[i] = f(i)
template <class F>
inline F32x16 each_lane(F f) {
  F32x16 y;
  for (int i = 0; i < 16; ++i) y.v[i] = f(i);
  return y;
}
template <class F>
inline Mask32x16 each_mask_lane(F f) {
  Mask32x16 y;
  for (int i = 0; i < 16; ++i) y.v[i] = f(i);
  return y;
}

inline F32x16 operator+(F32x16 a, F32x16 b) {
  return each_lane([&](int i) { return a.v[i] + b.v[i]; });
}
inline F32x16 operator-(F32x16 a, F32x16 b) {
  return each_lane([&](int i) { return a.v[i] - b.v[i]; });
}
inline F32x16 operator*(F32x16 a, F32x16 b) {
  return each_lane([&](int i) { return a.v[i] * b.v[i]; });
}
inline F32x16 operator/(F32x16 a, F32x16 b) {
  return each_lane([&](int i) { return a.v[i] / b.v[i]; });
}
inline F32x16 operator-(F32x16 a) {
  return each_lane([&](int i) { return -a.v[i]; });
}
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return each_lane([&](int i) { return __builtin_fmaf(a.v[i], b.v[i], c.v[i]); });
}
inline F32x16 max(F32x16 a, F32x16 b) {
  return each_lane([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline F32x16 min(F32x16 a, F32x16 b) {
  return each_lane([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline F32x16 abs(F32x16 a) {
  return each_lane([&](int i) { return __builtin_fabsf(a.v[i]); });
}
inline F32x16 sqrt(F32x16 a) {
  return each_lane([&](int i) { return __builtin_sqrtf(a.v[i]); });
}

inline Mask32x16 operator<(F32x16 a, F32x16 b) {
  return each_mask_lane([&](int i) { return a.v[i] < b.v[i]; });
}
inline Mask32x16 operator<=(F32x16 a, F32x16 b) {
  return each_mask_lane([&](int i) { return a.v[i] <= b.v[i]; });
}
inline Mask32x16 operator>(F32x16 a, F32x16 b) {
  return each_mask_lane([&](int i) { return a.v[i] > b.v[i]; });
}
inline Mask32x16 operator>=(F32x16 a, F32x16 b) {
  return each_mask_lane([&](int i) { return a.v[i] >= b.v[i]; });
}
inline Mask32x16 operator==(F32x16 a, F32x16 b) {
  return each_mask_lane([&](int i) { return a.v[i] == b.v[i]; });
}
inline Mask32x16 operator!=(F32x16 a, F32x16 b) {
  return each_mask_lane([&](int i) { return a.v[i] != b.v[i]; });
}
inline Mask32x16 operator&(Mask32x16 a, Mask32x16 b) {
  return each_mask_lane([&](int i) { return a.v[i] && b.v[i]; });
}
inline Mask32x16 operator|(Mask32x16 a, Mask32x16 b) {
  return each_mask_lane([&](int i) { return a.v[i] || b.v[i]; });
}
inline Mask32x16 operator!(Mask32x16 a) {
  return each_mask_lane([&](int i) { return !a.v[i]; });
}
inline uint32_t lanes(Mask32x16 m) {
  uint32_t y = 0;
  for (int i = 0; i < 16; ++i) y |= static_cast<uint32_t>(m.v[i]) << i;
  return y;
}
inline bool any(Mask32x16 m) { return lanes(m) != 0; }
inline F32x16 select(Mask32x16 m, F32x16 a, F32x16 b) {
  return each_lane([&](int i) { return m.v[i] ? a.v[i] : b.v[i]; });
}

inline float sum(F32x16 a) {
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) a.v[i] += a.v[i + half];
  }
  return a.v[0];
}
inline float max_of(F32x16 a) {
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) a.v[i] = a.v[i] > a.v[i + half] ? a.v[i] : a.v[i + half];
  }
  return a.v[0];
}
inline float min_of(F32x16 a) { return -max_of(-a); }

namespace bits {
inline uint32_t of(float x) { return __builtin_bit_cast(uint32_t, x); }
inline float as_float(uint32_t u) { return __builtin_bit_cast(float, u); }

/// p times 2^n, where n sits in the low bits of t = n + 1.5 2^23.
inline F32x16 scale(F32x16 p, F32x16 t) {
  return each_lane([&](int i) { return as_float((of(t.v[i]) << 23) + of(p.v[i])); });
}
/// x = m 2^e with m in [1/sqrt(2), sqrt(2)), for normal positive x.
inline F32x16 split(F32x16 x, F32x16& e) {
  F32x16 m;
  for (int i = 0; i < 16; ++i) {
    const int32_t k = static_cast<int32_t>(of(x.v[i]) - 0x3F3504F3u) >> 23;
    e.v[i] = static_cast<float>(k);
    m.v[i] = as_float(of(x.v[i]) - (static_cast<uint32_t>(k) << 23));
  }
  return m;
}
/// |x| with the sign of s.
inline F32x16 copy_sign(F32x16 x, F32x16 s) {
  return each_lane([&](int i) { return __builtin_copysignf(x.v[i], s.v[i]); });
}
}  // namespace bits

}  // namespace
}  // namespace tessera
