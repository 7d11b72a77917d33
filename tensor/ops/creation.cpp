#include "tensor/ops/creation.h"

#include <algorithm>

#include "tensor/ops/op_internal.h"

namespace tessera {

Tensor empty(const Shape& shape, const TensorOptions& options) {
  auto bytes = static_cast<int64_t>(size_of(options.dtype));
  bool fits = true, any = true;
  for (int64_t size : shape) {
    check<ShapeError>(size >= 0, "empty: shape {} has a negative size", shape);
    // Strides of an empty tensor are those of sizes of 1: they must not wrap around either.
    fits = fits && !__builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes);
    any = any && size != 0;
  }
  check<OutOfMemory>(fits, "empty: shape {} of {} has more bytes than fit into 63 bits", shape,
                     options.dtype);
  return Tensor(std::make_shared<Storage>(static_cast<size_t>(any ? bytes : 0), options.device),
                options.dtype, shape, contiguous_strides(shape), 0);
}

Tensor full(const Shape& shape, double value, const TensorOptions& options) {
  const Tensor y = empty(shape, options);
  if (y.numel() > 0) detail::backend_of(y).fill(value, y.mutable_view());
  return y;
}

Tensor zeros(const Shape& shape, const TensorOptions& options) { return full(shape, 0, options); }
Tensor ones(const Shape& shape, const TensorOptions& options) { return full(shape, 1, options); }

Tensor arange(int64_t n, const TensorOptions& options, double start, double step) {
  check<ShapeError>(n >= 0, "arange: n is {}, but must not be negative", n);
  // 16-bit and small integer types are for storage: made in a type that computes.
  const bool exact =
      options.dtype == DType::f32 || options.dtype == DType::f64 || options.dtype == DType::i64;
  const Tensor y = empty({n}, {exact ? options.dtype : DType::f64, options.device});
  if (n > 0) detail::backend_of(y).arange(start, step, y.mutable_view());
  return y.to(options.dtype);
}

Tensor eye(int64_t n, const TensorOptions& options) {
  const Tensor y = zeros({n, n}, options);
  if (n > 0) {
    const Tensor diagonal = detail::alias(y, {n}, {n + 1});
    detail::backend_of(y).fill(1, diagonal.mutable_view());
  }
  return y;
}

template <class T>
Tensor from_data(std::span<const T> elements, const Shape& shape, const Device& device) {
  check<ShapeError>(static_cast<int64_t>(elements.size()) == numel(shape),
                    "from_data: {} elements, but shape {} has {}", elements.size(), shape,
                    numel(shape));
  const Tensor y = empty(shape, {dtype_of<T>, device});
  if (!elements.empty()) {
    detail::backend_of(y).copy_from_host(y.mutable_view().data, elements.data(),
                                         elements.size_bytes());
  }
  return y;
}

template Tensor from_data<float>(std::span<const float>, const Shape&, const Device&);
template Tensor from_data<double>(std::span<const double>, const Shape&, const Device&);
template Tensor from_data<bf16>(std::span<const bf16>, const Shape&, const Device&);
template Tensor from_data<f16>(std::span<const f16>, const Shape&, const Device&);
template Tensor from_data<int64_t>(std::span<const int64_t>, const Shape&, const Device&);
template Tensor from_data<int32_t>(std::span<const int32_t>, const Shape&, const Device&);
template Tensor from_data<uint8_t>(std::span<const uint8_t>, const Shape&, const Device&);
template Tensor from_data<bool>(std::span<const bool>, const Shape&, const Device&);

Tensor from_values(std::initializer_list<double> values, const TensorOptions& options) {
  const std::span<const double> list(values.begin(), values.size());
  return from_data(list, {static_cast<int64_t>(values.size())})
      .to(options.dtype)
      .to(options.device);
}

}  // namespace tessera
