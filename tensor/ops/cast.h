#pragma once

#include "tensor/record.h"

namespace tessera {

/// The record of `Tensor::to(dtype)` between floating dtypes.
struct Cast final : Op {
  std::string_view name() const override { return "cast"; }
};
/// The record of `Tensor::to(device)`.
struct Move final : Op {
  Device from;
  explicit Move(Device f) : from(f) {}
  std::string_view name() const override { return "to_device"; }
};
/// The record of `Tensor::contiguous` and `clone`.
struct Clone final : Op {
  std::string_view name() const override { return "clone"; }
};

/// A copy of the elements, contiguous. Differentiable.
Tensor clone(const Tensor& x);

/// Writes x into y, broadcasting x, converting the dtype. In place, not recorded.
/// Throws StateError if y is tracked and no leaf.
void copy_into(const Tensor& x, const Tensor& y);
/// Sets every element. In place, not recorded.
void fill_(const Tensor& y, double value);

}  // namespace tessera
