#pragma once

#include "tensor/record.h"

namespace tessera {

struct Reshape final : Op {
  Shape from;
  explicit Reshape(Shape s) : from(s) {}
  std::string_view name() const override { return "reshape"; }
};
struct Permute final : Op {
  Axes axes;
  explicit Permute(Axes a) : axes(a) {}
  std::string_view name() const override { return "permute"; }
};
struct Expand final : Op {
  std::string_view name() const override { return "expand"; }
};
/// Elements begin, begin + step, … < end of one axis of a tensor of shape `from`.
struct Slice final : Op {
  int axis;
  int64_t begin, end, step;
  Shape from;
  Slice(int a, int64_t b, int64_t e, int64_t s, Shape f)
      : axis(a), begin(b), end(e), step(s), from(f) {}
  std::string_view name() const override { return "slice"; }
};
/// The transpose of Slice: zeros of shape `slice.from` with x at the slice.
struct Unslice final : Op {
  Slice slice;
  explicit Unslice(Slice s) : slice(s) {}
  std::string_view name() const override { return "unslice"; }
};
struct Concat final : Op {
  int axis;
  std::vector<int64_t> sizes;  // of the inputs on the axis
  Concat(int a, std::vector<int64_t> s) : axis(a), sizes(std::move(s)) {}
  std::string_view name() const override { return "concat"; }
};

// All of these are views (no copy) unless they say otherwise.

/// At most one size may be -1: it is inferred. Copies if the strides cannot express the shape.
Tensor reshape(const Tensor& x, const Shape& shape);
/// `axes` is a permutation of 0 … rank-1.
Tensor permute(const Tensor& x, const Axes& axes);
/// Exchanges two axes; the last two by default.
Tensor transpose(const Tensor& x, int64_t a = -2, int64_t b = -1);
/// Broadcasts to `shape`; new axes in front, axes of size 1 repeated with stride 0.
Tensor expand(const Tensor& x, const Shape& shape);
/// Elements begin, begin + step, … < end of `axis`; negative begin and end count from the end.
Tensor slice(const Tensor& x, int64_t axis, int64_t begin, int64_t end, int64_t step = 1);
/// Zeros of shape `s.from` with x where `s` takes from. Copies.
Tensor unslice(const Tensor& x, const Slice& s);
/// Element `index` of `axis`; the axis vanishes.
Tensor select(const Tensor& x, int64_t axis, int64_t index);
/// Removes an axis of size 1.
Tensor squeeze(const Tensor& x, int64_t axis);
/// Inserts an axis of size 1 before `axis` (-1: at the end).
Tensor unsqueeze(const Tensor& x, int64_t axis);
/// One after another along `axis`; all other sizes equal. Copies.
Tensor concat(std::span<const Tensor> parts, int64_t axis = 0);
inline Tensor concat(std::initializer_list<Tensor> parts, int64_t axis = 0) {
  return concat(std::span(parts.begin(), parts.size()), axis);
}
/// Along a new axis. Copies.
Tensor stack(std::span<const Tensor> parts, int64_t axis = 0);
/// Pieces of the given sizes, which add up to the axis.
Tensors split(const Tensor& x, std::span<const int64_t> sizes, int64_t axis = 0);

}  // namespace tessera
