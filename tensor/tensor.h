#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/base/device.h"
#include "tensor/base/dtype.h"
#include "tensor/base/shape.h"
#include "tensor/base/view.h"
#include "tensor/storage.h"

namespace tessera {

class AutogradMeta;
class Tensor;
using Tensors = std::vector<Tensor>;

/// dtype and device of a tensor to be made.
struct TensorOptions {
  DType dtype = DType::f32;
  Device device = kCpu;
};

/// A multi-dimensional array. The object is a handle: copies share the elements, and no operation
/// changes a shape in place. Ops (tensor/ops/) return new tensors; views share storage.
///
/// A default-constructed tensor is *undefined*: it has no shape, and stands for "absent".
class Tensor {
 public:
  Tensor() = default;
  /// A view of `storage`; for ops and loaders.
  Tensor(std::shared_ptr<Storage> storage, DType dtype, Shape shape, Strides strides,
         int64_t offset);

  bool defined() const { return impl_ != nullptr; }

  const Shape& shape() const;
  const Strides& strides() const;  ///< in elements
  int rank() const { return shape().rank(); }
  /// Size of an axis; negative axes count from the end.
  int64_t size(int64_t axis) const;
  int64_t numel() const { return tessera::numel(shape()); }
  size_t bytes() const { return static_cast<size_t>(numel()) * size_of(dtype()); }
  DType dtype() const;
  const Device& device() const;
  TensorOptions options() const { return {dtype(), device()}; }
  bool is_contiguous() const;

  /// The only element, converted to T. Waits for the device. Throws ShapeError if there are others.
  template <class T>
  T item() const;
  /// All elements in row-major order, converted to T. Waits for the device.
  template <class T>
  std::vector<T> to_vector() const;

  /// Converted to `dtype`; itself if it already is. Differentiable between floating dtypes.
  Tensor to(DType dtype) const;
  /// On `device`; itself if it already is. To the CPU it waits for the device.
  Tensor to(const Device& device) const;
  /// Same elements, contiguous; itself if it already is. Differentiable.
  Tensor contiguous() const;

  /// Same elements, outside of any recording.
  Tensor detach() const;
  /// Is it part of a recording, or a leaf whose derivative is wanted?
  bool tracked() const;
  /// The gradient accumulated by `backward`; undefined if there is none.
  Tensor grad() const;

  /// What kernels see.
  ConstView view() const;
  /// For kernels that write. In-place writers call `mark_changed`.
  View mutable_view() const;
  /// First element on the device. On the CPU it may be dereferenced.
  template <class T>
  T* data() const {
    check_dtype(dtype_of<T>);
    return mutable_view().template as<T>();
  }

  /// Says that its elements were changed in place by `op` (a literal).
  void mark_changed(const char* op) const;
  /// Takes over the elements of `other` (equal shape and dtype; any device): every copy of this
  /// handle sees them. For moving modules and loading; not recorded.
  void assign(const Tensor& other) const;

  const std::shared_ptr<Storage>& storage() const;
  int64_t offset() const;  ///< of the first element in the storage, in elements
  /// True if both are the same handle (not merely equal).
  bool is(const Tensor& other) const { return impl_ == other.impl_; }
  /// True if nobody else can see the elements: neither another handle nor another view.
  bool exclusive() const;

  // For tensor/record and autograd/.
  AutogradMeta* meta() const;
  const std::shared_ptr<AutogradMeta>& shared_meta() const;
  void set_meta(std::shared_ptr<AutogradMeta> meta) const;

 private:
  struct Impl;
  void check_dtype(DType wanted) const;
  const Impl& impl() const;

  std::shared_ptr<Impl> impl_;
};

/// The tensor as text: shape, dtype and elements (the middle of long axes is left out). Waits.
std::string to_string(const Tensor& x);

}  // namespace tessera
