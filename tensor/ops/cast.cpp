#include "tensor/ops/cast.h"

#include "tensor/ops/creation.h"
#include "tensor/ops/op_internal.h"

namespace tessera {

Tensor Tensor::to(DType dtype) const {
  if (dtype == this->dtype()) return *this;
  const Tensor y = empty(shape(), {dtype, device()});
  if (numel() > 0) detail::backend_of(*this).copy(view(), y.mutable_view());
  if (is_floating(dtype) && is_floating(this->dtype())) {
    record(Cast{}, {*this}, {y});
  }
  return y;
}

Tensor Tensor::to(const Device& device) const {
  if (device == this->device()) return *this;
  const Tensor x = is_contiguous() ? *this : detach().contiguous();
  const Tensor y = empty(shape(), {dtype(), device});
  const size_t n_bytes = bytes();
  if (n_bytes > 0) {
    if (this->device() == kCpu) {
      detail::backend_of(y).copy_from_host(y.mutable_view().data, x.view().data, n_bytes);
    } else if (device == kCpu) {
      detail::backend_of(x).copy_to_host(y.mutable_view().data, x.view().data, n_bytes);
    } else {  // between two devices, by way of the host
      const Tensor host = empty(shape(), {dtype(), kCpu});
      detail::backend_of(x).copy_to_host(host.mutable_view().data, x.view().data, n_bytes);
      detail::backend_of(y).copy_from_host(y.mutable_view().data, host.view().data, n_bytes);
    }
  }
  record(Move(this->device()), {*this}, {y});
  return y;
}

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : clone(*this); }

Tensor clone(const Tensor& x) {
  const Tensor y = empty_like(x);
  if (x.numel() > 0) detail::backend_of(x).copy(x.view(), y.mutable_view());
  record(Clone{}, {x}, {y});
  return y;
}

void copy_into(const Tensor& x, const Tensor& y) {
  detail::check_writable("copy_into", y);
  detail::check_same_device("copy_into", "x", x, "y", y);
  if (x.shape() != y.shape()) {
    check<ShapeError>(broadcast_shapes("copy_into", x.shape(), y.shape()) == y.shape(),
                      "copy_into: x is {}, which does not broadcast to y {}", x.shape(), y.shape());
  }
  if (y.numel() > 0) {
    // A kernel's output overlaps no input.
    const bool overlaps = x.storage() == y.storage();
    const Tensor from = overlaps ? clone(x.detach()) : x;
    detail::backend_of(y).copy(detail::broadcast_view(from, y.shape()), y.mutable_view());
  }
  y.mark_changed("copy_into");
}

void fill_(const Tensor& y, double value) {
  detail::check_writable("fill_", y);
  if (y.numel() > 0) detail::backend_of(y).fill(value, y.mutable_view());
  y.mark_changed("fill_");
}

}  // namespace tessera
