#pragma once

#include <cstdint>

/// Functions of `F32x16`, written on the operations of simd.h alone, so their bits are the same on
/// every instruction set. Polynomials are minimax fits of our own (Remez exchange in 40 digits).
///
/// Largest error over every seventh float, in units of the last place: exp 1.1, log 0.8, log1p 1.5,
/// erf 2.5, tanh 1.4. sin, cos and pow are libm's.
namespace tessera {
namespace {

/// c0 + c1 x + c2 x^2 + …, Horner with fma.
inline F32x16 polynomial(F32x16, float c0) { return F32x16(c0); }
template <class... C>
inline F32x16 polynomial(F32x16 x, float c0, C... c) {
  return fma(polynomial(x, c...), x, F32x16(c0));
}

/// e^x for -87.3365 < x < 88.7228; anything elsewhere.
inline F32x16 exp_in_range(F32x16 x) {
  // x = n ln 2 + r, |r| <= ln(2) / 2. The sum with 1.5 2^23 rounds to an integer, and leaves it in
  // the low bits.
  const F32x16 shift(12582912.0f);
  const F32x16 t = fma(x, F32x16(1.44269504f), shift);
  const F32x16 n = t - shift;
  F32x16 r = fma(n, F32x16(-0.693359375f), x);  // 9 bits: n times it is exact
  r = fma(n, F32x16(2.12194440e-4f), r);
  const F32x16 q =
      polynomial(r, 0.4999999341f, 0.166665201f, 0.04166839415f, 0.00836878069f, 0.001381447122f);
  return bits::scale(fma(q, r * r, r) + F32x16(1.0f), t);
}

/// Above 88.7228 inf; below the normal numbers (-87.3365) 0; NaN stays NaN.
inline F32x16 exp(F32x16 x) {
  F32x16 y = exp_in_range(x);
  y = select(x < F32x16(88.722847f), y, x + F32x16(__builtin_inff()));
  return select(x < F32x16(-87.33654f), F32x16(0.0f), y);
}

/// 0 (and subnormals) -inf, below 0 NaN.
inline F32x16 log(F32x16 x) {
  F32x16 e;
  const F32x16 m = bits::split(x, e);
  const F32x16 r = m - F32x16(1.0f), r2 = r * r;
  const F32x16 q =
      polynomial(r, 0.3333331261f, -0.250000096f, 0.2000211863f, -0.1666799578f, 0.1421955254f,
                 -0.124055896f, 0.1188816289f, -0.116756507f, 0.06746637556f);
  F32x16 y = q * (r * r2);
  y = fma(e, F32x16(-2.12194440e-4f), y);
  y = fma(F32x16(-0.5f), r2, y);
  y = fma(e, F32x16(0.693359375f), r + y);
  y = select(x < F32x16(__builtin_inff()), y, x);  // inf and NaN
  y = select(x < F32x16(1.17549435e-38f), F32x16(-__builtin_inff()), y);
  return select(x < F32x16(0.0f), F32x16(__builtin_nanf("")), y);
}

/// log(1 + x): log of the rounded sum, corrected by what the rounding lost.
inline F32x16 log1p(F32x16 x) {
  const F32x16 u = F32x16(1.0f) + x;
  const F32x16 lost = x - (u - F32x16(1.0f));
  const auto usable = (x > F32x16(-1.0f)) & (x < F32x16(1e10f));
  return log(u) + select(usable, lost / u, F32x16(0.0f));
}

/// Below 1 an odd polynomial; above, 1 - e^-g with g = -log(erfc) as a polynomial.
inline F32x16 erf(F32x16 x) {
  const F32x16 a = abs(x), z = x * x;
  const F32x16 near =
      x * polynomial(z, 1.128379166f, -0.3761262582f, 0.1128358515f, -0.02685381199f,
                     0.005188327729f, -0.0008010193659f, 7.853860632e-5f);
  const F32x16 t = min(F32x16(3.95f), a);  // from here on it is 1; a NaN passes
  const F32x16 g = polynomial(t, -0.0001884674576f, 1.12958031f, 0.633216401f, 0.1084220948f,
                              -0.02521033665f, 0.004205283573f, -0.0004414724077f, 2.169759299e-5f);
  F32x16 far = F32x16(1.0f) - exp_in_range(-g);
  far = fma(t, F32x16(0.0f), far);  // a NaN again, which the exponent arithmetic may have lost
  return select(a < F32x16(1.0f), near, bits::copy_sign(far, x));
}

/// Below 0.65 an odd polynomial; above, 1 - 2 / (e^2x + 1).
inline F32x16 tanh(F32x16 x) {
  const F32x16 a = abs(x), z = x * x;
  const F32x16 q = polynomial(z, -0.3333326288f, 0.1333089975f, -0.05369296728f, 0.02048331412f,
                              -0.005528631827f);
  const F32x16 near = fma(q, x * z, x);
  const F32x16 far = F32x16(1.0f) - F32x16(2.0f) / (exp(a + a) + F32x16(1.0f));
  return select(a < F32x16(0.65f), near, bits::copy_sign(far, x));
}

/// Lane by lane through libm, where speed does not matter.
template <class F>
inline F32x16 by_lane(F32x16 x, F f) {
  float lane[16];
  x.store(lane);
  for (float& v : lane) v = f(v);
  return F32x16::load(lane);
}
inline F32x16 sin(F32x16 x) {
  return by_lane(x, [](float v) { return __builtin_sinf(v); });
}
inline F32x16 cos(F32x16 x) {
  return by_lane(x, [](float v) { return __builtin_cosf(v); });
}
inline F32x16 pow(F32x16 x, F32x16 y) {
  float a[16], b[16];
  x.store(a);
  y.store(b);
  for (int i = 0; i < 16; ++i) a[i] = __builtin_powf(a[i], b[i]);
  return F32x16::load(a);
}

}  // namespace
}  // namespace tessera
