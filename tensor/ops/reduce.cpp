#include "tensor/ops/reduce.h"

#include <limits>

#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/op_internal.h"
#include "tensor/ops/shape_ops.h"

namespace tessera {

namespace {

struct ReducedShape {
  Shape kept;  // reduced axes have size 1
  Shape final;
  int64_t count = 1;  // elements reduced to one
};

ReducedShape reduced_shape(const Shape& shape, const Axes& axes, KeepDims keep) {
  ReducedShape r;
  r.kept = shape;
  for (int64_t axis : axes) {
    const int i = static_cast<int>(axis);
    r.count *= shape[i];
    r.kept[i] = 1;
  }
  if (keep == KeepDims::yes) {
    r.final = r.kept;
    return r;
  }
  int next = 0;  // axes are ascending
  for (int i = 0; i < shape.rank(); ++i) {
    if (next < axes.rank() && axes[next] == i) {
      ++next;
    } else {
      r.final.push_back(shape[i]);
    }
  }
  return r;
}

Tensor reduce(std::string_view name, ReduceOp op, const Tensor& x, const Axes& axes,
              KeepDims keep) {
  if (x.dtype() != DType::i64) detail::check_family_floating(name, "x", x);
  const ReducedShape r = reduced_shape(x.shape(), axes, keep);
  check<ShapeError>(op == ReduceOp::sum || r.count > 0 || is_floating(x.dtype()),
                    "{}: axes {} of x {} hold no element, and {} has no infinity", name, axes,
                    x.shape(), x.dtype());
  const Tensor y = empty(r.final, x.options());
  if (y.numel() > 0) {
    View kept = y.mutable_view();
    kept.shape = r.kept;
    kept.strides = contiguous_strides(r.kept);
    detail::backend_of(x).reduce(op, x.view(), kept);
  }
  return y;
}

Tensor extremum(std::string_view name, ReduceOp op, const Tensor& x, const Axes& some_axes,
                KeepDims keep) {
  const Axes axes = normalize_axes(name, some_axes, x.rank());
  const Tensor y = reduce(name, op, x, axes, keep);
  record(Extremum(op, axes, keep == KeepDims::yes), {x}, {y});
  return y;
}

Tensor mean_over(const Tensor& x, const Axes& axes, KeepDims keep) {
  const int64_t count = reduced_shape(x.shape(), axes, keep).count;
  const Tensor total = reduce("mean", ReduceOp::sum, x, axes, keep);
  record(Sum(axes, keep == KeepDims::yes), {x}, {total});
  return mul(total, 1.0 / static_cast<double>(count));  // 0 * inf: NaN for no elements
}

}  // namespace

Tensor sum(const Tensor& x, const Axes& some_axes, KeepDims keep) {
  const Axes axes = normalize_axes("sum", some_axes, x.rank());
  const Tensor y = reduce("sum", ReduceOp::sum, x, axes, keep);
  record(Sum(axes, keep == KeepDims::yes), {x}, {y});
  return y;
}

Tensor mean(const Tensor& x, const Axes& axes, KeepDims keep) {
  detail::check_family_floating("mean", "x", x);
  return mean_over(x, normalize_axes("mean", axes, x.rank()), keep);
}

Tensor max(const Tensor& x, const Axes& axes, KeepDims keep) {
  return extremum("max", ReduceOp::max, x, axes, keep);
}

Tensor min(const Tensor& x, const Axes& axes, KeepDims keep) {
  return extremum("min", ReduceOp::min, x, axes, keep);
}

Tensor var(const Tensor& x, const Axes& some_axes, KeepDims keep) {
  detail::check_family_floating("var", "x", x);
  const Axes axes = normalize_axes("var", some_axes, x.rank());
  const Tensor centre = mean_over(x, axes, KeepDims::yes);
  return mean_over(square(x - centre), axes, keep);
}

Tensor logsumexp(const Tensor& x, const Axes& some_axes, KeepDims keep) {
  detail::check_floating("logsumexp", "x", x);
  if (is_16_bit(x.dtype())) {
    return logsumexp(x.to(DType::f32), some_axes, keep).to(x.dtype());
  }
  const Axes axes = normalize_axes("logsumexp", some_axes, x.rank());
  const Tensor largest = max(x.detach(), axes, KeepDims::yes);
  // Shifting by an infinity would make NaN of "all are -inf", whose result is -inf.
  const Tensor finite = abs(largest) < std::numeric_limits<double>::infinity();
  const Tensor shift = where(finite, largest, scalar(0, x.options()));
  const Tensor y = log(sum(exp(x - shift), axes, keep));
  return y + (y.shape() == shift.shape() ? shift : reshape(shift, y.shape()));
}

Tensor argmax(const Tensor& x, int64_t axis, KeepDims keep) {
  const int at = normalize_axis("argmax", axis, x.rank());
  if (x.dtype() != DType::i64) detail::check_family_floating("argmax", "x", x);
  check<ShapeError>(x.shape()[at] > 0, "argmax: axis {} of x {} is empty", at, x.shape());
  const ReducedShape r = reduced_shape(x.shape(), {at}, keep);
  const Tensor y = empty(r.final, {DType::i64, x.device()});
  if (y.numel() > 0) {
    View kept = y.mutable_view();
    kept.shape = r.kept;
    kept.strides = contiguous_strides(r.kept);
    detail::backend_of(x).argmax(x.view(), at, kept);
  }
  return y;
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  check<ShapeError>(
      shape.rank() <= x.rank() && broadcast_shapes("sum_to", x.shape(), shape) == x.shape(),
      "sum_to: x is {}, to which {} does not broadcast", x.shape(), shape);
  const int added = x.rank() - shape.rank();
  Axes axes;
  for (int i = 0; i < x.rank(); ++i) {
    if (i < added || (shape[i - added] == 1 && x.shape()[i] != 1)) axes.push_back(i);
  }
  // Reduced axes in front vanish at once; those inside stay, as `shape` wants them.
  if (axes.back() == added - 1) return sum(x, axes, KeepDims::no);
  const Tensor y = sum(x, axes, KeepDims::yes);
  return added == 0 ? y : reshape(y, shape);
}

}  // namespace tessera
