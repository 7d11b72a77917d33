#pragma once

#include "tensor/record.h"

namespace tessera {

/// inputs: x, index. So are those of the others: a change of the index before the walk is noticed.
struct IndexSelect final : Op {
  int axis;
  Shape from;
  IndexSelect(int a, Shape f) : axis(a), from(f) {}
  std::string_view name() const override { return "index_select"; }
};
/// The transpose of IndexSelect: zeros of shape `select.from` to which x's slices are added.
struct IndexSum final : Op {
  IndexSelect select;
  explicit IndexSum(IndexSelect s) : select(s) {}
  std::string_view name() const override { return "index_sum"; }
};
struct Gather final : Op {
  int axis;
  Shape from;
  Gather(int a, Shape f) : axis(a), from(f) {}
  std::string_view name() const override { return "gather"; }
};
/// The transpose of Gather.
struct ScatterSum final : Op {
  Gather gather;
  explicit ScatterSum(Gather g) : gather(g) {}
  std::string_view name() const override { return "scatter_sum"; }
};

// Indices are i64 and checked on the host: IndexError names the first that lies outside.

/// Slices index[0], index[1], … of x along `axis`. index (n) -> size n on the axis.
Tensor index_select(const Tensor& x, const Tensor& index, int64_t axis = 0);
/// Rows of a table. weight (V, C), index (...) -> (..., C).
Tensor embedding(const Tensor& weight, const Tensor& index);
/// y = zeros(shape); y's slice index[i] of `axis` += x's slice i.
Tensor index_sum(const Tensor& x, const Tensor& index, const Shape& shape, int64_t axis = 0);
/// y[.., i, ..] = x[.., index[.., i, ..], ..]; index has x's rank, and its sizes but on `axis`.
Tensor gather(const Tensor& x, const Tensor& index, int64_t axis);
/// y = zeros(shape); y[.., index[.., i, ..], ..] += x[.., i, ..].
Tensor scatter_sum(const Tensor& x, const Tensor& index, const Shape& shape, int64_t axis);
/// (...) i64 -> (..., classes) with 1 at the index.
Tensor one_hot(const Tensor& index, int64_t classes, const TensorOptions& options = {});

/// y's slice index[i] of axis 0 += x's slice i. In place, not recorded: for gradient sinks.
void index_add_(const Tensor& y, const Tensor& index, const Tensor& x);

}  // namespace tessera
