#include "tensor/ops/op_internal.h"

#include "tensor/record.h"

namespace tessera::detail {

void check_same_device(std::string_view op, std::string_view name_a, const Tensor& a,
                       std::string_view name_b, const Tensor& b) {
  check<DeviceError>(a.device() == b.device(),
                     "{}: {} is on {}, but {} is on {}; move one with .to(device)", op, name_a,
                     a.device(), name_b, b.device());
}

void check_alike(std::string_view op, std::string_view name_a, const Tensor& a,
                 std::string_view name_b, const Tensor& b) {
  check<DTypeError>(a.dtype() == b.dtype(),
                    "{}: {} is {}, but {} is {}; convert one with .to(dtype)", op, name_a,
                    a.dtype(), name_b, b.dtype());
  check_same_device(op, name_a, a, name_b, b);
}

void check_floating(std::string_view op, std::string_view name, const Tensor& x) {
  check<DTypeError>(is_floating(x.dtype()),
                    "{}: {} is {}, but must be floating; convert it with .to(DType::f32)", op, name,
                    x.dtype());
}

void check_family_floating(std::string_view op, std::string_view name, const Tensor& x) {
  check_floating(op, name, x);
  check<DTypeError>(x.dtype() != DType::f16,
                    "{}: {} is f16, which is for storage; convert it with .to(DType::f32)", op,
                    name);
}

void check_parameter(std::string_view op, std::string_view name, const Tensor& p, const Tensor& x) {
  const DType wanted = compute_dtype(x.dtype());
  check<DTypeError>(p.dtype() == wanted,
                    "{}: {} is {}, but beside x of {} it must be {}; convert it"
                    " with .to(DType::{})",
                    op, name, p.dtype(), x.dtype(), wanted, wanted);
  check_same_device(op, name, p, "x", x);
}

void check_rank(std::string_view op, std::string_view name, const Tensor& x, int rank,
                std::string_view expected) {
  check<ShapeError>(x.rank() == rank, "{}: {} is {}, but must be {}", op, name, x.shape(),
                    expected);
}

void check_groups(std::string_view op, const RowGroups& groups, size_t parameter_sets,
                  int64_t rows) {
  check<ShapeError>(groups.size() == parameter_sets,
                    "{}: {} ranges of rows, but {} sets of parameters", op, groups.size(),
                    parameter_sets);
  for (size_t i = 0; i < groups.size(); ++i) {
    check<ShapeError>(groups.begin(i) >= 0 && groups.begin(i) <= groups.end(i),
                      "{}: range {} of rows goes from {} to {}; ends must not descend", op, i,
                      groups.begin(i), groups.end(i));
  }
  check<ShapeError>(groups.rows() == rows, "{}: the ranges end at row {}, but x has {} rows", op,
                    groups.rows(), rows);
}

void check_writable(const char* op, const Tensor& y) {
  if (const AutogradMeta* meta = y.meta()) {
    check<StateError>(meta->is_leaf(),
                      "{}: would change the result {} of a recorded op in place; write into "
                      ".detach() or a .clone() of it",
                      op, y.shape());
  }
  if (y.is_contiguous()) return;
  for (int i = 0; i < y.rank(); ++i) {
    check<StateError>(y.strides()[i] != 0 || y.shape()[i] <= 1,
                      "{}: axis {} of y {} repeats one element (it was expanded), so it cannot be "
                      "written; use .contiguous()",
                      op, i, y.shape());
  }
}

namespace {
std::string position(int64_t flat, const Shape& shape) {
  Dims at = Dims::filled(shape.rank(), 0);
  for (int i = shape.rank() - 1; i >= 0; --i) {
    at[i] = flat % shape[i];
    flat /= shape[i];
  }
  return shape.rank() == 1 ? std::to_string(at[0]) : to_string(at);
}
}  // namespace

void check_indices(std::string_view op, std::string_view name, const Tensor& index, int64_t size,
                   int axis, const Shape& x, const int64_t* ignored) {
  check<DTypeError>(index.dtype() == DType::i64,
                    "{}: {} is {}, but must be i64; convert it with .to(DType::i64)", op, name,
                    index.dtype());
  // Reading them back from another device would wait for it; its kernels check instead.
  if (index.device() != kCpu) return;
  const Tensor flat = index.is_contiguous() ? index : index.detach().contiguous();
  const int64_t n = flat.numel();
  const auto* at = static_cast<const int64_t*>(flat.view().data);
  const auto limit = static_cast<uint64_t>(size);
  // Negative values are huge as unsigned ones. No early exit: this loop vectorises.
  uint64_t bad = 0;
  if (ignored == nullptr) {
    for (int64_t i = 0; i < n; ++i) bad |= static_cast<uint64_t>(at[i]) >= limit;
  } else {
    const int64_t skip = *ignored;
    for (int64_t i = 0; i < n; ++i) {
      bad |= static_cast<uint64_t>(static_cast<uint64_t>(at[i]) >= limit) & (at[i] != skip);
    }
  }
  if (bad == 0) [[likely]]
    return;
  for (int64_t i = 0; i < n; ++i) {
    check<IndexError>(
        static_cast<uint64_t>(at[i]) < limit || (ignored != nullptr && at[i] == *ignored),
        "{}: {} at {} is {}, but axis {} of {} has size {}", op, name, position(i, index.shape()),
        at[i], axis, x, size);
  }
}

ConstView broadcast_view(const Tensor& x, const Shape& shape) {
  ConstView v = x.view();
  if (v.shape == shape) return v;
  const int added = shape.rank() - v.rank();
  Strides strides = Dims::filled(shape.rank(), 0);
  for (int i = 0; i < v.rank(); ++i) {
    strides[i + added] = v.shape[i] == 1 && shape[i + added] != 1 ? 0 : v.strides[i];
  }
  v.shape = shape;
  v.strides = strides;
  return v;
}

Tensor alias(const Tensor& x, const Shape& shape, const Strides& strides, int64_t offset) {
  return Tensor(x.storage(), x.dtype(), shape, strides, x.offset() + offset);
}

Tensor as_row_view(const Tensor& x) {
  Rows rows;
  return as_rows(x.shape(), x.strides(), rows) ? x : x.contiguous();
}

}  // namespace tessera::detail
