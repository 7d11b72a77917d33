#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <vector>

#include "tests/testing/tensors.h"

/// Numbers that carry a bound of their own rounding error. Reference results are computed with
/// them, by plain loops, so that a tolerance comes out of the computation that it judges.
namespace tessera::testing {

/// A number x, computed in f64, and the rounding error that a computation of x in a dtype of
/// epsilon e may have: |computed - x| <= e * error, to first order in e.
///
/// Every operation adds one unit of its result, twice what correct rounding costs, which leaves
/// room for the terms of second order. Functions add the units of their kernels.
struct Rounded {
  double value = 0, error = 0;

  Rounded() = default;
  Rounded(double v, double e = 0) : value(v), error(e) {}  // NOLINT: numbers are exact ones
};

// Beside the ops of the same names.
using tessera::abs;
using tessera::cos;
using tessera::erf;
using tessera::exp;
using tessera::log;
using tessera::max;
using tessera::min;
using tessera::pow;
using tessera::sin;
using tessera::sqrt;
using tessera::tanh;

/// f(x) with |f'(x)| = slope, by a function that is right within `units` of its result.
inline Rounded function(double y, double slope, const Rounded& x, double units) {
  return {y, std::fabs(slope) * x.error + units * std::fabs(y)};
}

inline Rounded operator+(const Rounded& a, const Rounded& b) {
  const double y = a.value + b.value;
  return {y, a.error + b.error + std::fabs(y)};
}
inline Rounded operator-(const Rounded& a) { return {-a.value, a.error}; }
inline Rounded operator-(const Rounded& a, const Rounded& b) { return a + -b; }
inline Rounded operator*(const Rounded& a, const Rounded& b) {
  const double y = a.value * b.value;
  // Where both factors are 0, nothing but the term of second order is left; 2^-7 is the largest e.
  const double second = 0x1p-7 * a.error * b.error;
  return {y, std::fabs(a.value) * b.error + std::fabs(b.value) * a.error + std::fabs(y) + second};
}
inline Rounded operator/(const Rounded& a, const Rounded& b) {
  const double y = a.value / b.value;
  return {y, (a.error + std::fabs(y) * b.error) / std::fabs(b.value) + std::fabs(y)};
}

inline Rounded exp(const Rounded& x) {
  const double y = std::exp(x.value);
  return function(y, y, x, 2);
}
inline Rounded log(const Rounded& x) { return function(std::log(x.value), 1 / x.value, x, 2); }
inline Rounded log1p(const Rounded& x) {
  return function(std::log1p(x.value), 1 / (1 + x.value), x, 2);
}
inline Rounded sqrt(const Rounded& x) {
  const double y = std::sqrt(x.value);
  return function(y, 0.5 / y, x, 1);
}
inline Rounded sin(const Rounded& x) {
  return function(std::sin(x.value), std::cos(x.value), x, 2);
}
inline Rounded cos(const Rounded& x) {
  return function(std::cos(x.value), std::sin(x.value), x, 2);
}
inline Rounded tanh(const Rounded& x) {
  const double y = std::tanh(x.value);
  return function(y, 1 - y * y, x, 2);
}
inline Rounded erf(const Rounded& x) {
  return function(std::erf(x.value), 2 / std::sqrt(M_PI) * std::exp(-x.value * x.value), x, 3);
}
inline Rounded pow(const Rounded& x, double p) {
  const double y = std::pow(x.value, p);
  return function(y, p * std::pow(x.value, p - 1), x, 2);
}
inline Rounded abs(const Rounded& x) { return {std::fabs(x.value), x.error}; }
inline Rounded max(const Rounded& a, const Rounded& b) {
  return {std::max(a.value, b.value), std::max(a.error, b.error)};
}
inline Rounded min(const Rounded& a, const Rounded& b) { return -max(-a, -b); }

/// The sum in whatever order: each of its n - 1 additions is off by at most a unit of sum |x|.
inline Rounded total(std::span<const Rounded> terms) {
  double y = 0, size = 0, error = 0;
  for (const Rounded& x : terms) {
    y += x.value;
    size += std::fabs(x.value);
    error += x.error;
  }
  const auto additions = static_cast<double>(std::max<size_t>(terms.size(), 1) - 1);
  return {y, error + additions * size};
}

/// What a reference returns: a tensor of such numbers, row-major.
struct Grid {
  Shape shape;
  std::vector<Rounded> elements;

  using At = std::vector<int64_t>;
  static Grid of(const Shape& shape, const std::function<Rounded(const At&)>& f) {
    Grid y{shape, {}};
    for (const At& at : positions(shape)) y.elements.push_back(f(at));
    return y;
  }
};
using Grids = std::vector<Grid>;

}  // namespace tessera::testing
