#include "tensor/ops/index.h"

#include "tensor/ops/cast.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/op_internal.h"
#include "tensor/ops/shape_ops.h"

namespace tessera {

namespace {

void check_list(std::string_view op, const Tensor& x, const Tensor& index) {
  detail::check_rank(op, "index", index, 1, "(n)");
  detail::check_same_device(op, "index", index, "x", x);
}

Tensor select_checked(const Tensor& x, const Tensor& index, int axis) {
  Shape shape = x.shape();
  shape[axis] = index.size(0);
  const Tensor y = empty(shape, x.options());
  if (y.numel() > 0) {
    detail::backend_of(x).index_select(x.view(), index.view(), axis, y.mutable_view());
  }
  record(IndexSelect(axis, x.shape()), {x, index}, {y});
  return y;
}

/// What gather and scatter_sum ask of the tensor that has the axis (`table`) and of the index.
void check_table(std::string_view op, const Shape& table, const Tensor& index, int axis) {
  Shape rest = index.shape();
  bool fits = rest.rank() == table.rank();
  if (fits) {
    rest[axis] = table[axis];
    fits = rest == table;
  }
  check<ShapeError>(fits, "{}: index is {}, but must have the sizes of {} except on axis {}", op,
                    index.shape(), table, axis);
  detail::check_indices(op, "index", index, table[axis], axis, table);
}

}  // namespace

Tensor index_select(const Tensor& x, const Tensor& index, int64_t axis) {
  const int at = normalize_axis("index_select", axis, x.rank());
  check_list("index_select", x, index);
  detail::check_indices("index_select", "index", index, x.shape()[at], at, x.shape());
  return select_checked(x, index, at);
}

Tensor embedding(const Tensor& weight, const Tensor& index) {
  detail::check_rank("embedding", "weight", weight, 2, "(V, C)");
  detail::check_same_device("embedding", "index", index, "weight", weight);
  detail::check_indices("embedding", "index", index, weight.size(0), 0, weight.shape());
  if (index.rank() == 1) return select_checked(weight, index, 0);
  Shape shape = index.shape();
  shape.push_back(weight.size(1));
  return reshape(select_checked(weight, reshape(index, {index.numel()}), 0), shape);
}

Tensor index_sum(const Tensor& x, const Tensor& index, const Shape& shape, int64_t axis) {
  const int at = normalize_axis("index_sum", axis, shape.rank());
  check_list("index_sum", x, index);
  Shape expected = shape;
  expected[at] = index.size(0);
  check<ShapeError>(x.shape() == expected,
                    "index_sum: x is {}, but {} indices on axis {} of {} need {}", x.shape(),
                    index.size(0), at, shape, expected);
  detail::check_indices("index_sum", "index", index, shape[at], at, shape);
  const Tensor y = zeros(shape, x.options());
  if (x.numel() > 0) {
    detail::backend_of(x).index_add(x.view(), index.view(), at, y.mutable_view());
  }
  record(IndexSum(IndexSelect(at, shape)), {x, index}, {y});
  return y;
}

Tensor gather(const Tensor& x, const Tensor& index, int64_t axis) {
  const int at = normalize_axis("gather", axis, x.rank());
  detail::check_same_device("gather", "index", index, "x", x);
  check_table("gather", x.shape(), index, at);
  const Tensor y = empty(index.shape(), x.options());
  if (y.numel() > 0) {
    detail::backend_of(x).gather(x.view(), index.view(), at, y.mutable_view());
  }
  record(Gather(at, x.shape()), {x, index}, {y});
  return y;
}

Tensor scatter_sum(const Tensor& x, const Tensor& index, const Shape& shape, int64_t axis) {
  const int at = normalize_axis("scatter_sum", axis, shape.rank());
  detail::check_same_device("scatter_sum", "index", index, "x", x);
  check<ShapeError>(x.shape() == index.shape(), "scatter_sum: x is {}, but index is {}", x.shape(),
                    index.shape());
  check_table("scatter_sum", shape, index, at);
  const Tensor y = zeros(shape, x.options());
  if (x.numel() > 0) {
    detail::backend_of(x).scatter_add(x.view(), index.view(), at, y.mutable_view());
  }
  record(ScatterSum(Gather(at, shape)), {x, index}, {y});
  return y;
}

Tensor one_hot(const Tensor& index, int64_t classes, const TensorOptions& options) {
  check<ValueError>(classes >= 1, "one_hot: {} classes, but at least one is needed", classes);
  Shape shape = index.shape();
  shape.push_back(classes);
  detail::check_indices("one_hot", "index", index, classes, shape.rank() - 1, shape);
  const Tensor numbers = arange(classes, {.dtype = DType::i64, .device = index.device()});
  return equal(unsqueeze(index, -1), numbers).to(options.dtype).to(options.device);
}

void index_add_(const Tensor& y, const Tensor& index, const Tensor& x) {
  detail::check_writable("index_add_", y);
  detail::check_alike("index_add_", "x", x, "y", y);
  check_list("index_add_", x, index);
  check<ShapeError>(y.rank() >= 1, "index_add_: y is {}, but needs an axis", y.shape());
  Shape expected = y.shape();
  expected[0] = index.size(0);
  check<ShapeError>(x.shape() == expected, "index_add_: x is {}, but {} indices into y {} need {}",
                    x.shape(), index.size(0), y.shape(), expected);
  detail::check_indices("index_add_", "index", index, y.size(0), 0, y.shape());
  if (x.numel() > 0) {
    const bool overlaps = x.storage() == y.storage();
    const Tensor from = overlaps ? clone(x.detach()) : x;
    detail::backend_of(y).index_add(from.view(), index.view(), 0, y.mutable_view());
  }
  y.mark_changed("index_add_");
}

}  // namespace tessera
