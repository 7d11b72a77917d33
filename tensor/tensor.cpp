#include "tensor/tensor.h"

#include <algorithm>

#include "tensor/ops/cast.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/op_internal.h"
#include "tensor/record.h"

namespace tessera {

struct Tensor::Impl {
  Impl(std::shared_ptr<Storage> s, DType d, const Shape& sizes, const Strides& steps, int64_t first)
      : storage(std::move(s)), dtype(d), shape(sizes), strides(steps), offset(first) {}

  std::shared_ptr<Storage> storage;
  DType dtype;
  Shape shape;
  Strides strides;
  int64_t offset;
  std::shared_ptr<AutogradMeta> meta;
};

Tensor::Tensor(std::shared_ptr<Storage> storage, DType dtype, Shape shape, Strides strides,
               int64_t offset)
    : impl_(std::make_shared<Impl>(std::move(storage), dtype, shape, strides, offset)) {
  const Impl& t = *impl_;
  check<InternalError>(t.shape.rank() == t.strides.rank(), "tensor: shape {} with strides {}",
                       t.shape, t.strides);
  // Sizes and strides may come from a file: neither the number of elements nor the last one's place
  // may wrap around.
  int64_t last = offset, count = 1;
  bool fits = offset >= 0, any = true;
  for (int i = 0; i < t.shape.rank(); ++i) {
    int64_t reach = 0;
    any = any && t.shape[i] != 0;
    fits = fits && !__builtin_mul_overflow(count, std::max<int64_t>(t.shape[i], 1), &count) &&
           !__builtin_mul_overflow(t.shape[i] - 1, t.strides[i], &reach) &&
           !__builtin_add_overflow(last, reach, &last);
  }
  fits = fits && (!any || static_cast<uint64_t>(last) < t.storage->bytes() / size_of(dtype));
  check<InternalError>(
      fits, "tensor: shape {} with strides {} from element {} reaches beyond its {} bytes", t.shape,
      t.strides, offset, t.storage->bytes());
}

const Tensor::Impl& Tensor::impl() const {
  check<StateError>(impl_ != nullptr,
                    "tensor: it is undefined (absent, or moved from): it has no shape and no "
                    "elements; test with .defined()");
  return *impl_;
}

const Shape& Tensor::shape() const { return impl().shape; }
const Strides& Tensor::strides() const { return impl().strides; }
DType Tensor::dtype() const { return impl().dtype; }
const Device& Tensor::device() const { return impl().storage->device(); }
const std::shared_ptr<Storage>& Tensor::storage() const { return impl().storage; }
int64_t Tensor::offset() const { return impl().offset; }

int64_t Tensor::size(int64_t axis) const { return shape()[normalize_axis("size", axis, rank())]; }

bool Tensor::is_contiguous() const {
  const Impl& t = impl();
  return tessera::is_contiguous(t.shape, t.strides);
}

ConstView Tensor::view() const { return mutable_view(); }

View Tensor::mutable_view() const {
  const Impl& t = impl();
  auto* bytes = static_cast<std::byte*>(t.storage->data());
  return {bytes + static_cast<size_t>(t.offset) * size_of(t.dtype), t.dtype, t.shape, t.strides};
}

void Tensor::check_dtype(DType wanted) const {
  check<DTypeError>(
      dtype() == wanted,
      "data: the tensor is {}, but was asked for as {}; convert it with .to(DType::{})", dtype(),
      wanted, wanted);
}

Tensor Tensor::detach() const {
  const Impl& t = impl();
  return Tensor(t.storage, t.dtype, t.shape, t.strides, t.offset);
}

bool Tensor::tracked() const { return impl_ != nullptr && impl_->meta != nullptr; }
Tensor Tensor::grad() const { return tracked() ? impl_->meta->grad() : Tensor(); }
AutogradMeta* Tensor::meta() const { return impl_ == nullptr ? nullptr : impl_->meta.get(); }
const std::shared_ptr<AutogradMeta>& Tensor::shared_meta() const { return impl().meta; }
void Tensor::set_meta(std::shared_ptr<AutogradMeta> meta) const {
  impl();
  impl_->meta = std::move(meta);
}

void Tensor::mark_changed(const char* op) const { impl().storage->changed(op); }

void Tensor::assign(const Tensor& other) const {
  if (is(other)) return;
  detail::check_writable("assign", *this);
  check<ShapeError>(shape() == other.shape(),
                    "assign: the tensor is {}, but its new elements are {}", shape(),
                    other.shape());
  check<DTypeError>(dtype() == other.dtype(),
                    "assign: the tensor is {}, but its new elements are {}; convert them with "
                    ".to(DType::{})",
                    dtype(), other.dtype(), dtype());
  const Impl& from = other.impl();
  // Who saved a view of the old storage still sees the old elements; who saved this handle sees
  // the new storage, and its changed version.
  impl_->storage = from.storage;
  impl_->strides = from.strides;
  impl_->offset = from.offset;
  mark_changed("assign");
}

bool Tensor::exclusive() const {
  return impl_ != nullptr && impl_.use_count() == 1 && impl_->storage.use_count() == 1;
}

namespace {

template <class T, class S>
T convert(S x) {
  if constexpr (std::is_same_v<S, T>) {
    return x;
  } else if constexpr (std::is_same_v<S, bf16> || std::is_same_v<S, f16>) {
    return convert<T>(static_cast<float>(x));
  } else if constexpr (std::is_same_v<T, bf16> || std::is_same_v<T, f16>) {
    return T(static_cast<float>(x));
  } else if constexpr (std::is_same_v<T, bool>) {
    return x != S(0);
  } else {
    return static_cast<T>(x);
  }
}

template <class S, class T>
void read_elements(Backend& backend, const void* from, std::vector<T>& out) {
  if constexpr (std::is_same_v<S, T> && !std::is_same_v<T, bool>) {
    backend.copy_to_host(out.data(), from, out.size() * sizeof(S));
  } else {
    const std::unique_ptr<S[]> elements(new S[out.size()]);
    backend.copy_to_host(elements.get(), from, out.size() * sizeof(S));
    for (size_t i = 0; i < out.size(); ++i) out[i] = convert<T>(elements[i]);
  }
}

}  // namespace

template <class T>
T Tensor::item() const {
  check<ShapeError>(numel() == 1, "item: the tensor is {}, but must have one element", shape());
  return visit_dtype(dtype(), [&]<class S>(TypeTag<S>) {
    S element{};
    storage()->backend().copy_to_host(&element, view().data, sizeof(S));
    return convert<T>(element);
  });
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  std::vector<T> out(static_cast<size_t>(numel()));
  if (out.empty()) return out;
  const Tensor flat = is_contiguous() ? *this : detach().contiguous();
  visit_dtype(dtype(), [&]<class S>(TypeTag<S>) {
    read_elements<S>(storage()->backend(), flat.view().data, out);
  });
  return out;
}

// The element types are a closed list (DType), so the definitions can stay here.
template float Tensor::item<float>() const;
template double Tensor::item<double>() const;
template bf16 Tensor::item<bf16>() const;
template f16 Tensor::item<f16>() const;
template int64_t Tensor::item<int64_t>() const;
template int32_t Tensor::item<int32_t>() const;
template uint8_t Tensor::item<uint8_t>() const;
template bool Tensor::item<bool>() const;
template std::vector<float> Tensor::to_vector<float>() const;
template std::vector<double> Tensor::to_vector<double>() const;
template std::vector<bf16> Tensor::to_vector<bf16>() const;
template std::vector<f16> Tensor::to_vector<f16>() const;
template std::vector<int64_t> Tensor::to_vector<int64_t>() const;
template std::vector<int32_t> Tensor::to_vector<int32_t>() const;
template std::vector<uint8_t> Tensor::to_vector<uint8_t>() const;
template std::vector<bool> Tensor::to_vector<bool>() const;

}  // namespace tessera
