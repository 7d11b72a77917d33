#include "tensor/base/shape.h"

#include <algorithm>

namespace tessera {

std::string to_string(const Dims& dims) {
  std::string out = "(";
  for (int i = 0; i < dims.rank(); ++i) {
    if (i > 0) out += ", ";
    out += std::to_string(dims[i]);
  }
  return out + ")";
}

int64_t numel(const Shape& shape) {
  int64_t n = 1;
  for (int64_t size : shape) n *= size;
  return n;
}

Strides contiguous_strides(const Shape& shape) {
  Strides strides = Dims::filled(shape.rank(), 1);
  for (int i = shape.rank() - 2; i >= 0; --i) {
    strides[i] = strides[i + 1] * std::max<int64_t>(shape[i + 1], 1);
  }
  return strides;
}

Shape broadcast_shapes(std::string_view op, const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  Shape out = Dims::filled(rank, 1);
  for (int i = 1; i <= rank; ++i) {
    const int64_t na = i <= a.rank() ? a[a.rank() - i] : 1;
    const int64_t nb = i <= b.rank() ? b[b.rank() - i] : 1;
    check<ShapeError>(na == nb || na == 1 || nb == 1,
                      "{}: shapes {} and {} do not broadcast: axis {} has sizes {} and {}", op, a,
                      b, -i, na, nb);
    out[rank - i] = na == 1 ? nb : na;
  }
  return out;
}

int normalize_axis(std::string_view op, int64_t axis, int rank) {
  check<ShapeError>(axis >= -rank && axis < rank, "{}: axis {} is outside a tensor of rank {}", op,
                    axis, rank);
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

Axes normalize_axes(std::string_view op, const Axes& axes, int rank) {
  Axes out;
  if (axes.empty()) {
    for (int i = 0; i < rank; ++i) out.push_back(i);
    return out;
  }
  for (int64_t axis : axes) out.push_back(normalize_axis(op, axis, rank));
  std::sort(out.begin(), out.end());
  check<ShapeError>(std::adjacent_find(out.begin(), out.end()) == out.end(),
                    "{}: axes {} name one axis twice", op, axes);
  return out;
}

}  // namespace tessera
