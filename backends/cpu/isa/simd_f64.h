#pragma once

#include <cstdint>

/// `F64x16`: sixteen doubles as a plain array that the compiler vectorises. Described in simd.h.
/// Only gradient checks and tests run on it, so its functions are libm's, lane by lane.
namespace tessera {
namespace {

struct Mask64x16 {
  bool v[16];
};

struct F64x16 {
  using Scalar = double;
  using Mask = Mask64x16;
  static constexpr int kLanes = 16;

  double v[16];

  F64x16() = default;
  explicit F64x16(double x) {
    for (double& lane : v) lane = x;
  }

  static Mask first(int64_t n) {
    Mask m;
    for (int i = 0; i < 16; ++i) m.v[i] = i < n;
    return m;
  }
  static F64x16 load(const double* p) {
    F64x16 y;
    for (int i = 0; i < 16; ++i) y.v[i] = p[i];
    return y;
  }
  static F64x16 load(const double* p, int64_t n) {
    F64x16 y;
    for (int i = 0; i < 16; ++i) y.v[i] = i < n ? p[i] : 0.0;
    return y;
  }
  void store(double* p) const {
    for (int i = 0; i < 16; ++i) p[i] = v[i];
  }
  void store(double* p, int64_t n) const {
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }
};

/// y[i] = f(i)
template <class F>
inline F64x16 each_f64(F f) {
  F64x16 y;
  for (int i = 0; i < 16; ++i) y.v[i] = f(i);
  return y;
}
template <class F>
inline Mask64x16 each_mask64(F f) {
  Mask64x16 y;
  for (int i = 0; i < 16; ++i) y.v[i] = f(i);
  return y;
}

inline F64x16 operator+(const F64x16& a, const F64x16& b) {
  return each_f64([&](int i) { return a.v[i] + b.v[i]; });
}
inline F64x16 operator-(const F64x16& a, const F64x16& b) {
  return each_f64([&](int i) { return a.v[i] - b.v[i]; });
}
inline F64x16 operator*(const F64x16& a, const F64x16& b) {
  return each_f64([&](int i) { return a.v[i] * b.v[i]; });
}
inline F64x16 operator/(const F64x16& a, const F64x16& b) {
  return each_f64([&](int i) { return a.v[i] / b.v[i]; });
}
inline F64x16 operator-(const F64x16& a) {
  return each_f64([&](int i) { return -a.v[i]; });
}
inline F64x16 fma(const F64x16& a, const F64x16& b, const F64x16& c) {
  return each_f64([&](int i) { return __builtin_fma(a.v[i], b.v[i], c.v[i]); });
}
inline F64x16 max(const F64x16& a, const F64x16& b) {
  return each_f64([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline F64x16 min(const F64x16& a, const F64x16& b) {
  return each_f64([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline F64x16 abs(const F64x16& a) {
  return each_f64([&](int i) { return __builtin_fabs(a.v[i]); });
}
inline F64x16 sqrt(const F64x16& a) {
  return each_f64([&](int i) { return __builtin_sqrt(a.v[i]); });
}

inline Mask64x16 operator<(const F64x16& a, const F64x16& b) {
  return each_mask64([&](int i) { return a.v[i] < b.v[i]; });
}
inline Mask64x16 operator<=(const F64x16& a, const F64x16& b) {
  return each_mask64([&](int i) { return a.v[i] <= b.v[i]; });
}
inline Mask64x16 operator>(const F64x16& a, const F64x16& b) {
  return each_mask64([&](int i) { return a.v[i] > b.v[i]; });
}
inline Mask64x16 operator>=(const F64x16& a, const F64x16& b) {
  return each_mask64([&](int i) { return a.v[i] >= b.v[i]; });
}
inline Mask64x16 operator==(const F64x16& a, const F64x16& b) {
  return each_mask64([&](int i) { return a.v[i] == b.v[i]; });
}
inline Mask64x16 operator!=(const F64x16& a, const F64x16& b) {
  return each_mask64([&](int i) { return a.v[i] != b.v[i]; });
}
inline Mask64x16 operator&(const Mask64x16& a, const Mask64x16& b) {
  return each_mask64([&](int i) { return a.v[i] && b.v[i]; });
}
inline Mask64x16 operator|(const Mask64x16& a, const Mask64x16& b) {
  return each_mask64([&](int i) { return a.v[i] || b.v[i]; });
}
inline Mask64x16 operator!(const Mask64x16& a) {
  return each_mask64([&](int i) { return !a.v[i]; });
}
inline uint32_t lanes(const Mask64x16& m) {
  uint32_t y = 0;
  for (int i = 0; i < 16; ++i) y |= static_cast<uint32_t>(m.v[i]) << i;
  return y;
}
inline bool any(const Mask64x16& m) { return lanes(m) != 0; }
inline F64x16 select(const Mask64x16& m, const F64x16& a, const F64x16& b) {
  return each_f64([&](int i) { return m.v[i] ? a.v[i] : b.v[i]; });
}

inline double sum(F64x16 a) {
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) a.v[i] += a.v[i + half];
  }
  return a.v[0];
}
inline double max_of(F64x16 a) {
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) a.v[i] = a.v[i] > a.v[i + half] ? a.v[i] : a.v[i + half];
  }
  return a.v[0];
}
inline double min_of(const F64x16& a) { return -max_of(-a); }

inline F64x16 exp(const F64x16& x) {
  return each_f64([&](int i) { return __builtin_exp(x.v[i]); });
}
inline F64x16 log(const F64x16& x) {
  return each_f64([&](int i) { return __builtin_log(x.v[i]); });
}
inline F64x16 log1p(const F64x16& x) {
  return each_f64([&](int i) { return __builtin_log1p(x.v[i]); });
}
inline F64x16 erf(const F64x16& x) {
  return each_f64([&](int i) { return __builtin_erf(x.v[i]); });
}
inline F64x16 tanh(const F64x16& x) {
  return each_f64([&](int i) { return __builtin_tanh(x.v[i]); });
}
inline F64x16 sin(const F64x16& x) {
  return each_f64([&](int i) { return __builtin_sin(x.v[i]); });
}
inline F64x16 cos(const F64x16& x) {
  return each_f64([&](int i) { return __builtin_cos(x.v[i]); });
}
inline F64x16 pow(const F64x16& x, const F64x16& y) {
  return each_f64([&](int i) { return __builtin_pow(x.v[i], y.v[i]); });
}

}  // namespace
}  // namespace tessera
