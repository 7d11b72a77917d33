#pragma once

#include "tensor/record.h"

namespace tessera {

/// Axes are normalised and ascending; `keepdims` is as the caller asked.
struct Sum final : Op {
  Axes axes;
  bool keepdims;
  Sum(Axes a, bool k) : axes(a), keepdims(k) {}
  std::string_view name() const override { return "sum"; }
};
/// Maximum or minimum over axes.
struct Extremum final : Op {
  ReduceOp kind;
  Axes axes;
  bool keepdims;
  Extremum(ReduceOp op, Axes a, bool k) : kind(op), axes(a), keepdims(k) {}
  std::string_view name() const override { return kind == ReduceOp::max ? "max" : "min"; }
};

/// Whether reduced axes stay, with size 1.
enum class KeepDims : bool { no, yes };

// Reductions over `axes` (empty: all). Results have the dtype of x; 16-bit types are summed in f32.
Tensor sum(const Tensor& x, const Axes& axes = {}, KeepDims keep = KeepDims::no);
/// NaN for no elements.
Tensor mean(const Tensor& x, const Axes& axes = {}, KeepDims keep = KeepDims::no);
/// -inf for no elements. The gradient is shared evenly among equal largest elements.
Tensor max(const Tensor& x, const Axes& axes = {}, KeepDims keep = KeepDims::no);
Tensor min(const Tensor& x, const Axes& axes = {}, KeepDims keep = KeepDims::no);
/// Biased variance: mean((x - mean(x))^2). A composition.
Tensor var(const Tensor& x, const Axes& axes = {}, KeepDims keep = KeepDims::no);
/// log(sum(exp(x))), stable. A composition; the shift is a constant.
Tensor logsumexp(const Tensor& x, const Axes& axes = {}, KeepDims keep = KeepDims::no);
/// i64 index of the first largest element; not differentiable. Throws ShapeError if the axis is
/// empty.
Tensor argmax(const Tensor& x, int64_t axis, KeepDims keep = KeepDims::no);
/// Sums x over the axes along which `shape` was broadcast to x's shape.
Tensor sum_to(const Tensor& x, const Shape& shape);

}  // namespace tessera
