#pragma once

#include "tensor/tensor.h"

namespace tessera {

/// Contents undefined.
Tensor empty(const Shape& shape, const TensorOptions& options = {});
/// Contents undefined; dtype and device of `like`.
inline Tensor empty_like(const Tensor& like) { return empty(like.shape(), like.options()); }
Tensor zeros(const Shape& shape, const TensorOptions& options = {});
Tensor ones(const Shape& shape, const TensorOptions& options = {});
Tensor full(const Shape& shape, double value, const TensorOptions& options = {});
/// 0-d.
inline Tensor scalar(double value, const TensorOptions& options = {}) {
  return full({}, value, options);
}
/// (n): start, start + step, …
Tensor arange(int64_t n, const TensorOptions& options = {.dtype = DType::i64}, double start = 0,
              double step = 1);
/// (n, n) with ones on the diagonal.
Tensor eye(int64_t n, const TensorOptions& options = {});

/// Elements in row-major order. Throws ShapeError if their number is not that of the shape.
template <class T>
Tensor from_data(std::span<const T> elements, const Shape& shape, const Device& device = kCpu);
template <class T>
Tensor from_data(const std::vector<T>& elements, const Shape& shape, const Device& device = kCpu) {
  return from_data(std::span<const T>(elements), shape, device);
}
/// 1-d, f32 of the listed values.
Tensor from_values(std::initializer_list<double> values, const TensorOptions& options = {});

}  // namespace tessera
