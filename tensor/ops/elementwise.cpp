#include "tensor/ops/elementwise.h"

#include <cmath>

#include "tensor/ops/creation.h"
#include "tensor/ops/op_internal.h"

namespace tessera {

namespace {

template <class F>
Tensor apply(const Tensor& x, F f) {
  const Tensor y = empty_like(x);
  if (y.numel() > 0) detail::backend_of(x).unary(unary_op(f), x.view(), y.mutable_view());
  record(Unary<F>(f), {x}, {y});
  return y;
}

/// A function that has no integer form.
template <class F>
Tensor unary(const Tensor& x, F f = {}) {
  detail::check_family_floating(F::name, "x", x);
  return apply(x, f);
}

void check_arithmetic(std::string_view op, std::string_view name, const Tensor& x) {
  if (x.dtype() == DType::i64) return;
  check<DTypeError>(x.dtype() != DType::boolean,
                    "{}: {} is bool, which has no arithmetic; use logical_and, logical_or, "
                    "logical_not, or convert it with .to(dtype)",
                    op, name);
  check<DTypeError>(is_floating(x.dtype()) && x.dtype() != DType::f16,
                    "{}: {} is {}, which is for storage; convert it with .to(dtype)", op, name,
                    x.dtype());
}

/// One that has.
template <class F>
Tensor arithmetic(const Tensor& x, F f = {}) {
  check_arithmetic(F::name, "x", x);
  return apply(x, f);
}

/// Refuses numbers that an integer tensor would cut.
void check_number(std::string_view op, const Tensor& x, double value) {
  if (is_floating(x.dtype())) return;
  check<ValueError>(value == std::trunc(value) && std::fabs(value) < 9.2e18,
                    "{}: {} is no integer, but x is {}; convert x with .to(DType::f32)", op, value,
                    x.dtype());
}

Shape common_shape(std::string_view op, const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() ? a.shape() : broadcast_shapes(op, a.shape(), b.shape());
}

template <class F>
Tensor binary(const Tensor& a, const Tensor& b) {
  detail::check_alike(F::name, "a", a, "b", b);
  check_arithmetic(F::name, "a", a);
  const Shape shape = common_shape(F::name, a, b);
  const Tensor y = empty(shape, a.options());
  if (y.numel() > 0) {
    detail::backend_of(a).binary(binary_op(F{}), detail::broadcast_view(a, shape),
                                 detail::broadcast_view(b, shape), y.mutable_view());
  }
  record(Binary<F>{}, {a, b}, {y});
  return y;
}

/// Never differentiable, so never recorded.
template <class F>
Tensor boolean(std::string_view op, const Tensor& a, const Tensor& b) {
  check<DTypeError>(a.dtype() == DType::boolean && b.dtype() == DType::boolean,
                    "{}: a is {} and b is {}, but both must be bool; compare them with 0", op,
                    a.dtype(), b.dtype());
  detail::check_same_device(op, "a", a, "b", b);
  const Shape shape = common_shape(op, a, b);
  const Tensor y = empty(shape, a.options());
  if (y.numel() > 0) {
    detail::backend_of(a).binary(binary_op(F{}), detail::broadcast_view(a, shape),
                                 detail::broadcast_view(b, shape), y.mutable_view());
  }
  return y;
}

}  // namespace

Tensor neg(const Tensor& x) { return arithmetic<Neg>(x); }
Tensor abs(const Tensor& x) { return arithmetic<Abs>(x); }
Tensor square(const Tensor& x) { return arithmetic<Square>(x); }
Tensor sign(const Tensor& x) { return unary<Sign>(x); }
Tensor exp(const Tensor& x) { return unary<Exp>(x); }
Tensor log(const Tensor& x) { return unary<Log>(x); }
Tensor sqrt(const Tensor& x) { return unary<Sqrt>(x); }
Tensor rsqrt(const Tensor& x) { return unary<Rsqrt>(x); }
Tensor reciprocal(const Tensor& x) { return unary<Reciprocal>(x); }
Tensor sin(const Tensor& x) { return unary<Sin>(x); }
Tensor cos(const Tensor& x) { return unary<Cos>(x); }
Tensor tanh(const Tensor& x) { return unary<Tanh>(x); }
Tensor sigmoid(const Tensor& x) { return unary<Sigmoid>(x); }
Tensor softplus(const Tensor& x) { return unary<Softplus>(x); }
Tensor relu(const Tensor& x) { return unary<Relu>(x); }
Tensor erf(const Tensor& x) { return unary<Erf>(x); }
Tensor gelu(const Tensor& x) { return unary<Gelu>(x); }
Tensor gelu_grad(const Tensor& x) { return unary<GeluGrad>(x); }
Tensor pow(const Tensor& x, double exponent) { return unary(x, PowScalar{exponent}); }

Tensor clamp(const Tensor& x, double low, double high) {
  check<ValueError>(low <= high, "clamp: low is {}, which is not at most high {}", low, high);
  return unary(x, Clamp{low, high});
}

Tensor add(const Tensor& a, const Tensor& b) { return binary<Add>(a, b); }
Tensor sub(const Tensor& a, const Tensor& b) { return binary<Sub>(a, b); }
Tensor mul(const Tensor& a, const Tensor& b) { return binary<Mul>(a, b); }
Tensor div(const Tensor& a, const Tensor& b) {
  check<DTypeError>(is_floating(a.dtype()),
                    "div: a is {}, but must be floating; convert it with .to(DType::f32)",
                    a.dtype());
  return binary<Div>(a, b);
}
Tensor maximum(const Tensor& a, const Tensor& b) { return binary<Maximum>(a, b); }
Tensor minimum(const Tensor& a, const Tensor& b) { return binary<Minimum>(a, b); }

Tensor add(const Tensor& a, double b) {
  check_number("add", a, b);
  return arithmetic(a, AddScalar{b});
}
Tensor mul(const Tensor& a, double b) {
  check_number("mul", a, b);
  return arithmetic(a, MulScalar{b});
}

Tensor compare(CompareOp op, const Tensor& a, const Tensor& b) {
  detail::check_alike("compare", "a", a, "b", b);
  const Shape shape = common_shape("compare", a, b);
  const Tensor y = empty(shape, {DType::boolean, a.device()});
  if (y.numel() > 0) {
    detail::backend_of(a).compare(op, detail::broadcast_view(a, shape),
                                  detail::broadcast_view(b, shape), y.mutable_view());
  }
  return y;
}

Tensor compare(CompareOp op, const Tensor& a, double b) {
  check_number("compare", a, b);
  return compare(op, a, scalar(b, a.options()));
}

Tensor logical_and(const Tensor& a, const Tensor& b) { return boolean<Mul>("logical_and", a, b); }
Tensor logical_or(const Tensor& a, const Tensor& b) { return boolean<Maximum>("logical_or", a, b); }
Tensor logical_not(const Tensor& a) {
  check<DTypeError>(a.dtype() == DType::boolean,
                    "logical_not: a is {}, but must be bool; compare it with 0", a.dtype());
  return compare(CompareOp::equal, a, 0.0);
}

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  check<DTypeError>(condition.dtype() == DType::boolean,
                    "where: condition is {}, but must be bool, where true takes from a; compare it "
                    "with 0",
                    condition.dtype());
  detail::check_alike("where", "a", a, "b", b);
  detail::check_same_device("where", "condition", condition, "a", a);
  Shape shape = common_shape("where", a, b);
  if (condition.shape() != shape) shape = broadcast_shapes("where", condition.shape(), shape);
  const Tensor y = empty(shape, a.options());
  if (y.numel() > 0) {
    detail::backend_of(a).where(detail::broadcast_view(condition, shape),
                                detail::broadcast_view(a, shape), detail::broadcast_view(b, shape),
                                y.mutable_view());
  }
  record(Where{}, {condition, a, b}, {y});
  return y;
}

Tensor masked_fill(const Tensor& x, const Tensor& mask, double value) {
  check<DTypeError>(mask.dtype() == DType::boolean,
                    "masked_fill: mask is {}, but must be bool, where true is filled; compare it "
                    "with 0",
                    mask.dtype());
  return where(mask, scalar(value, x.options()), x);
}

Tensor kernels::gelu_backward(const Tensor& g, const Tensor& x) {
  if (is_16_bit(x.dtype()) || x.numel() == 0) return {};
  const Tensor g_rows = detail::as_row_view(g.detach()), x_rows = detail::as_row_view(x.detach());
  const Tensor dx = empty_like(x);
  if (!detail::backend_of(x).try_gelu_backward(g_rows.view(), x_rows.view(), dx.mutable_view())) {
    return {};
  }
  return dx;
}

}  // namespace tessera
