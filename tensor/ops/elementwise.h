#pragma once

#include "tensor/base/scalar_math.h"
#include "tensor/record.h"

namespace tessera {

/// The record of a unary functor.
template <class F>
struct Unary final : Op {
  F f;
  explicit Unary(F functor) : f(functor) {}
  std::string_view name() const override { return F::name; }
};
/// The record of a binary functor.
template <class F>
struct Binary final : Op {
  std::string_view name() const override { return F::name; }
};
/// The record of `where`; the condition is kept by the record's first input, never differentiated.
struct Where final : Op {
  std::string_view name() const override { return "where"; }
};

// Elementwise functions of floating tensors; the formulas are in scalar_math.h. Integer tensors
// have neg, abs, square and arithmetic with numbers.
Tensor neg(const Tensor& x);
Tensor abs(const Tensor& x);
Tensor sign(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor rsqrt(const Tensor& x);
Tensor reciprocal(const Tensor& x);
Tensor square(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor softplus(const Tensor& x);
Tensor relu(const Tensor& x);
Tensor erf(const Tensor& x);
/// x Phi(x), the exact form. Source: Hendrycks, Gimpel, arXiv:1606.08415.
Tensor gelu(const Tensor& x);
/// Its derivative, Phi(x) + x phi(x).
Tensor gelu_grad(const Tensor& x);
Tensor pow(const Tensor& x, double exponent);
/// min(max(x, low), high)
Tensor clamp(const Tensor& x, double low, double high);

// Two tensors of one dtype and device, broadcast by NumPy's rules.
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator-(const Tensor& x) { return neg(x); }

// A tensor and a number.
Tensor add(const Tensor& a, double b);
Tensor mul(const Tensor& a, double b);
inline Tensor operator+(const Tensor& a, double b) { return add(a, b); }
inline Tensor operator+(double a, const Tensor& b) { return add(b, a); }
inline Tensor operator-(const Tensor& a, double b) { return add(a, -b); }
inline Tensor operator-(double a, const Tensor& b) { return add(neg(b), a); }
inline Tensor operator*(const Tensor& a, double b) { return mul(a, b); }
inline Tensor operator*(double a, const Tensor& b) { return mul(b, a); }
inline Tensor operator/(const Tensor& a, double b) { return mul(a, 1 / b); }
inline Tensor operator/(double a, const Tensor& b) { return mul(reciprocal(b), a); }

// Comparisons give boolean tensors and are not differentiable. NaN compares as in IEEE 754.
Tensor compare(CompareOp op, const Tensor& a, const Tensor& b);
Tensor compare(CompareOp op, const Tensor& a, double b);
inline Tensor equal(const Tensor& a, const Tensor& b) { return compare(CompareOp::equal, a, b); }
inline Tensor operator<(const Tensor& a, const Tensor& b) { return compare(CompareOp::less, a, b); }
inline Tensor operator<=(const Tensor& a, const Tensor& b) {
  return compare(CompareOp::less_equal, a, b);
}
inline Tensor operator>(const Tensor& a, const Tensor& b) {
  return compare(CompareOp::greater, a, b);
}
inline Tensor operator>=(const Tensor& a, const Tensor& b) {
  return compare(CompareOp::greater_equal, a, b);
}
inline Tensor equal(const Tensor& a, double b) { return compare(CompareOp::equal, a, b); }
inline Tensor operator<(const Tensor& a, double b) { return compare(CompareOp::less, a, b); }
inline Tensor operator<=(const Tensor& a, double b) { return compare(CompareOp::less_equal, a, b); }
inline Tensor operator>(const Tensor& a, double b) { return compare(CompareOp::greater, a, b); }
inline Tensor operator>=(const Tensor& a, double b) {
  return compare(CompareOp::greater_equal, a, b);
}

// Of boolean tensors.
Tensor logical_and(const Tensor& a, const Tensor& b);
Tensor logical_or(const Tensor& a, const Tensor& b);
Tensor logical_not(const Tensor& a);

/// condition ? a : b, all broadcast. condition boolean.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
/// mask ? value : x
Tensor masked_fill(const Tensor& x, const Tensor& mask, double value);

namespace kernels {
/// g gelu'(x) in one pass; undefined if the backend declines.
Tensor gelu_backward(const Tensor& g, const Tensor& x);
}  // namespace kernels

}  // namespace tessera
