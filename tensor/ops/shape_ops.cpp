#include "tensor/ops/shape_ops.h"

#include <algorithm>

#include "tensor/ops/cast.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/op_internal.h"

namespace tessera {

namespace {

/// Replaces -1 by what is missing, and checks the number of elements.
Shape resolve_shape(const Tensor& x, const Shape& wanted) {
  Shape shape = wanted;
  int inferred = -1;
  int64_t known = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == -1) {
      check<ShapeError>(inferred < 0, "reshape: {} leaves two sizes open; at most one may be -1",
                        wanted);
      inferred = i;
    } else {
      check<ShapeError>(shape[i] >= 0, "reshape: {} has a negative size", wanted);
      check<ShapeError>(!__builtin_mul_overflow(known, shape[i], &known),
                        "reshape: {} has more elements than fit into 63 bits", wanted);
    }
  }
  const int64_t n = x.numel();
  if (inferred >= 0) {
    check<ShapeError>(known > 0 && n % known == 0,
                      "reshape: x {} has {} elements, which do not divide into {}", x.shape(), n,
                      wanted);
    shape[inferred] = n / known;
  } else {
    check<ShapeError>(known == n, "reshape: x {} has {} elements, but {} has {}", x.shape(), n,
                      wanted, known);
  }
  return shape;
}

/// Strides that express x as `shape` without a copy; false if there are none.
bool view_strides(const Tensor& x, const Shape& shape, Strides& out) {
  if (x.is_contiguous()) {
    out = contiguous_strides(shape);
    return true;
  }
  // Old axes are taken in runs that one stride walks through; each run is cut into new axes.
  const Shape& old_shape = x.shape();
  const Strides& old_strides = x.strides();
  out = Dims::filled(shape.rank(), 1);
  int next = shape.rank() - 1;
  int64_t run = 1, run_stride = 1;
  bool open = false;
  for (int i = old_shape.rank() - 1; i >= 0; --i) {
    if (old_shape[i] == 1) continue;
    if (!open) run = 1, run_stride = old_strides[i], open = true;
    run *= old_shape[i];
    int above = i - 1;
    while (above >= 0 && old_shape[above] == 1) --above;
    if (above >= 0 && old_strides[above] == old_shape[i] * old_strides[i]) continue;
    int64_t filled = 1;
    while (next >= 0 && (filled < run || shape[next] == 1)) {
      out[next] = filled * run_stride;
      filled *= shape[next--];
    }
    if (filled != run) return false;
    open = false;
  }
  return true;
}

std::pair<int64_t, int64_t> normalize_range(const Shape& shape, int axis, int64_t begin,
                                            int64_t end) {
  const int64_t size = shape[axis];
  const int64_t b = begin < 0 ? begin + size : begin, e = end < 0 ? end + size : end;
  check<IndexError>(b >= 0 && b <= e && e <= size,
                    "slice: {} to {} lies outside axis {} of x {}, or ends before it begins", begin,
                    end, axis, shape);
  return {b, e};
}

int64_t slice_size(int64_t begin, int64_t end, int64_t step) {
  return (end - begin + step - 1) / step;
}

Tensor slice_alias(const Tensor& x, const Slice& s) {
  Shape shape = x.shape();
  Strides strides = x.strides();
  shape[s.axis] = slice_size(s.begin, s.end, s.step);
  const int64_t offset = numel(shape) == 0 ? 0 : s.begin * strides[s.axis];
  strides[s.axis] *= s.step;
  return detail::alias(x, shape, strides, offset);
}

}  // namespace

Tensor reshape(const Tensor& x, const Shape& wanted) {
  if (x.shape() == wanted) return x;
  const Shape shape = resolve_shape(x, wanted);
  if (x.shape() == shape) return x;
  Strides strides;
  if (!view_strides(x, shape, strides)) return reshape(clone(x), shape);
  const Tensor y = detail::alias(x, shape, strides);
  record(Reshape(x.shape()), {x}, {y});
  return y;
}

Tensor permute(const Tensor& x, const Axes& wanted) {
  check<ShapeError>(wanted.rank() == x.rank(), "permute: axes {} must name each axis of x {} once",
                    wanted, x.shape());
  Axes axes;
  Shape shape;
  Strides strides;
  unsigned seen = 0;
  for (int64_t axis : wanted) {
    const int i = normalize_axis("permute", axis, x.rank());
    seen |= 1u << i;
    axes.push_back(i);
    shape.push_back(x.shape()[i]);
    strides.push_back(x.strides()[i]);
  }
  check<ShapeError>(seen == (1u << x.rank()) - 1u,
                    "permute: axes {} must name each axis of x {} once", wanted, x.shape());
  const Tensor y = detail::alias(x, shape, strides);
  record(Permute(axes), {x}, {y});
  return y;
}

Tensor transpose(const Tensor& x, int64_t a, int64_t b) {
  const int i = normalize_axis("transpose", a, x.rank());
  const int j = normalize_axis("transpose", b, x.rank());
  Axes axes;
  for (int k = 0; k < x.rank(); ++k) axes.push_back(k == i ? j : k == j ? i : k);
  return permute(x, axes);
}

Tensor expand(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  check<ShapeError>(shape.rank() >= x.rank(), "expand: x {} has more axes than {}", x.shape(),
                    shape);
  const int added = shape.rank() - x.rank();
  for (int i = 0; i < x.rank(); ++i) {
    check<ShapeError>(x.shape()[i] == shape[i + added] || x.shape()[i] == 1,
                      "expand: x {} does not broadcast to {}: axis {} has sizes {} and {}",
                      x.shape(), shape, i - x.rank(), x.shape()[i], shape[i + added]);
  }
  int64_t count = 1;
  bool fits = true;
  for (int64_t size : shape) {
    fits = fits && size >= 0 && !__builtin_mul_overflow(count, std::max<int64_t>(size, 1), &count);
  }
  check<ShapeError>(fits, "expand: {} has a negative size, or more elements than fit into 63 bits",
                    shape);
  const Tensor y = detail::alias(x, shape, detail::broadcast_view(x, shape).strides);
  record(Expand{}, {x}, {y});
  return y;
}

Tensor slice(const Tensor& x, int64_t axis, int64_t begin, int64_t end, int64_t step) {
  const int at = normalize_axis("slice", axis, x.rank());
  check<ValueError>(step >= 1, "slice: step is {}, but must be at least 1", step);
  const auto [b, e] = normalize_range(x.shape(), at, begin, end);
  if (b == 0 && e == x.shape()[at] && step == 1) return x;
  const Slice s(at, b, e, step, x.shape());
  const Tensor y = slice_alias(x, s);
  record(s, {x}, {y});
  return y;
}

Tensor unslice(const Tensor& x, const Slice& s) {
  Shape expected = s.from;
  expected[s.axis] = slice_size(s.begin, s.end, s.step);
  check<ShapeError>(x.shape() == expected, "unslice: x is {}, but the slice of {} is {}", x.shape(),
                    s.from, expected);
  const Tensor y = zeros(s.from, x.options());
  if (x.numel() > 0) detail::backend_of(x).copy(x.view(), slice_alias(y, s).mutable_view());
  record(Unslice(s), {x}, {y});
  return y;
}

Tensor select(const Tensor& x, int64_t axis, int64_t index) {
  const int at = normalize_axis("select", axis, x.rank());
  const int64_t size = x.shape()[at], i = index < 0 ? index + size : index;
  check<IndexError>(i >= 0 && i < size, "select: index {} lies outside axis {} of x {}", index, at,
                    x.shape());
  Shape shape = x.shape();
  shape.erase(at);
  return reshape(slice(x, at, i, i + 1), shape);
}

Tensor squeeze(const Tensor& x, int64_t axis) {
  const int at = normalize_axis("squeeze", axis, x.rank());
  check<ShapeError>(x.shape()[at] == 1, "squeeze: axis {} of x {} has size {}, but must have 1", at,
                    x.shape(), x.shape()[at]);
  Shape shape = x.shape();
  shape.erase(at);
  return reshape(x, shape);
}

Tensor unsqueeze(const Tensor& x, int64_t axis) {
  const int at = normalize_axis("unsqueeze", axis, x.rank() + 1);
  Shape shape = x.shape();
  shape.insert(at, 1);
  return reshape(x, shape);
}

Tensor concat(std::span<const Tensor> parts, int64_t axis) {
  check<ShapeError>(!parts.empty(), "concat: no tensors");
  const Tensor& first = parts[0];
  const int at = normalize_axis("concat", axis, first.rank());
  Shape shape = first.shape();
  shape[at] = 0;
  std::vector<int64_t> sizes;
  sizes.reserve(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    const Tensor& part = parts[i];
    if (i > 0) detail::check_alike("concat", "the first part", first, "another", part);
    Shape rest = part.shape();
    bool fits = rest.rank() == shape.rank();
    if (fits) {
      rest[at] = first.shape()[at];
      fits = rest == first.shape();
    }
    check<ShapeError>(fits,
                      "concat: part {} is {}, but part 0 is {}: they may differ on axis {}"
                      " alone",
                      i, part.shape(), first.shape(), at);
    sizes.push_back(part.shape()[at]);
    shape[at] += sizes.back();
  }
  const Tensor y = empty(shape, first.options());
  int64_t begin = 0;
  View to = y.mutable_view();
  auto* bytes = static_cast<std::byte*>(to.data);
  const size_t slice_bytes = static_cast<size_t>(to.strides[at]) * size_of(y.dtype());
  for (size_t i = 0; i < parts.size(); ++i) {
    to.data = bytes + static_cast<size_t>(begin) * slice_bytes;
    to.shape[at] = sizes[i];
    if (parts[i].numel() > 0) detail::backend_of(y).copy(parts[i].view(), to);
    begin += sizes[i];
  }
  record(Concat(at, std::move(sizes)), parts, std::span<const Tensor>(&y, 1));
  return y;
}

Tensor stack(std::span<const Tensor> parts, int64_t axis) {
  check<ShapeError>(!parts.empty(), "stack: no tensors");
  const int at = normalize_axis("stack", axis, parts[0].rank() + 1);
  Tensors lifted;
  lifted.reserve(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    check<ShapeError>(parts[i].shape() == parts[0].shape(),
                      "stack: part {} is {}, but part 0 is {}", i, parts[i].shape(),
                      parts[0].shape());
    lifted.push_back(unsqueeze(parts[i], at));
  }
  return concat(lifted, at);
}

Tensors split(const Tensor& x, std::span<const int64_t> sizes, int64_t axis) {
  const int at = normalize_axis("split", axis, x.rank());
  int64_t total = 0;
  for (int64_t size : sizes) {
    check<ShapeError>(size >= 0, "split: a piece has size {}", size);
    total += size;
  }
  check<ShapeError>(total == x.shape()[at],
                    "split: the pieces add up to {}, but axis {} of x {} has"
                    " size {}",
                    total, at, x.shape(), x.shape()[at]);
  Tensors pieces;
  pieces.reserve(sizes.size());
  int64_t begin = 0;
  for (int64_t size : sizes) {
    pieces.push_back(slice(x, at, begin, begin + size));
    begin += size;
  }
  return pieces;
}

}  // namespace tessera
