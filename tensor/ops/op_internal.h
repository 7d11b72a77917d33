#pragma once

#include <string_view>

#include "tensor/base/backend.h"
#include "tensor/ops/row_groups.h"
#include "tensor/tensor.h"

/// What the ops share: checks with their messages, and views for kernels.
namespace tessera::detail {

/// x as kernels compute with it: f32 in place of 16 bits. The conversion is not recorded: a fused
/// op's record has the 16-bit tensors, so that they, not their copies, are kept for its rule.
inline Tensor computed(const Tensor& x) {
  return is_16_bit(x.dtype()) ? x.detach().to(DType::f32) : x;
}
/// Calls `run(x)`, which is false where the kernel declines; then, for 16 bits, `run` of f32.
template <class F>
bool run_narrow_or_computed(const Tensor& x, F&& run) {
  return run(x) || (is_16_bit(x.dtype()) && run(computed(x)));
}

inline Backend& backend_of(const Tensor& x) { return x.storage()->backend(); }

/// Throws DTypeError or DeviceError unless a and b agree.
void check_alike(std::string_view op, std::string_view name_a, const Tensor& a,
                 std::string_view name_b, const Tensor& b);
void check_same_device(std::string_view op, std::string_view name_a, const Tensor& a,
                       std::string_view name_b, const Tensor& b);
/// f32, f64, bf16 or f16.
void check_floating(std::string_view op, std::string_view name, const Tensor& x);
/// Floating, but not f16, which only stores: what family kernels compute with.
void check_family_floating(std::string_view op, std::string_view name, const Tensor& x);
/// The dtype that parameters have beside x: f32 for 16-bit x, else that of x; and its device.
void check_parameter(std::string_view op, std::string_view name, const Tensor& p, const Tensor& x);
void check_rank(std::string_view op, std::string_view name, const Tensor& x, int rank,
                std::string_view expected);
/// Ascending ends, one a parameter set, that cover the rows.
void check_groups(std::string_view op, const RowGroups& groups, size_t parameter_sets,
                  int64_t rows);
/// Throws StateError if y is tracked and no leaf, and if it repeats elements.
void check_writable(const char* op, const Tensor& y);
/// i64 and, where the host can read it, inside 0 … size-1; `ignored` is allowed too. `x` is what is
/// indexed, for the message.
void check_indices(std::string_view op, std::string_view name, const Tensor& index, int64_t size,
                   int axis, const Shape& x, const int64_t* ignored = nullptr);

/// x as seen through `shape`, to which it broadcasts.
ConstView broadcast_view(const Tensor& x, const Shape& shape);
/// x with other sizes and strides, starting `offset` elements further; not recorded.
Tensor alias(const Tensor& x, const Shape& shape, const Strides& strides, int64_t offset = 0);
/// x itself if its last axis is contiguous and the others have one row stride; else a recorded
/// contiguous copy.
Tensor as_row_view(const Tensor& x);
/// A parameter of range i as it is recorded: that of an absent range without its history, so that
/// no rule finds it wanted.
inline Tensor recorded_parameter(const RowGroups& groups, size_t i, const Tensor& p) {
  return p.defined() && groups.is_absent(i) ? p.detach() : p;
}
/// The view of an optional tensor; absent if it is undefined.
inline ConstView optional_view(const Tensor& x) { return x.defined() ? x.view() : ConstView{}; }

}  // namespace tessera::detail
