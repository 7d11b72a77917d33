#pragma once

#include "tensor/base/dtype.h"
#include "tensor/base/shape.h"

namespace tessera {

/// What a kernel sees of an input: where the first element lies, and how to walk from it.
struct ConstView {
  const void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;
  Strides strides;  ///< in elements

  int rank() const { return shape.rank(); }
  int64_t numel() const { return tessera::numel(shape); }
  explicit operator bool() const { return data != nullptr; }
  template <class T>
  const T* as() const {
    return static_cast<const T*>(data);
  }
};

/// What a kernel sees of an output.
struct View {
  void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;
  Strides strides;  ///< in elements

  int rank() const { return shape.rank(); }
  int64_t numel() const { return tessera::numel(shape); }
  explicit operator bool() const { return data != nullptr; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
  operator ConstView() const { return {data, dtype, shape, strides}; }
};

/// Row-major without gaps? (Axes of size 1 may have any stride.)
inline bool is_contiguous(const Shape& shape, const Strides& strides) {
  int64_t expected = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}
inline bool is_contiguous(const ConstView& v) { return is_contiguous(v.shape, v.strides); }

/// A row view: the last axis contiguous, all others one common row stride. What fused kernels take.
///
/// rows        product of all axes but the last
/// cols        size of the last axis (1 for a scalar)
/// row_stride  elements between rows
struct Rows {
  int64_t rows = 1, cols = 1, row_stride = 1;
};

/// True, and fills `out`, if `shape` with `strides` is a row view.
inline bool as_rows(const Shape& shape, const Strides& strides, Rows& out) {
  const int rank = shape.rank();
  if (rank == 0) {
    out = {1, 1, 1};
    return true;
  }
  out.cols = shape[rank - 1];
  out.rows = 1;
  out.row_stride = out.cols;
  if (out.cols > 1 && strides[rank - 1] != 1) return false;
  bool first = true;
  int64_t expected = 0;
  for (int i = rank - 2; i >= 0; --i) {
    out.rows *= shape[i];
    if (shape[i] == 1) continue;
    if (first) {
      out.row_stride = expected = strides[i];
      first = false;
    } else if (strides[i] != expected) {
      return false;
    }
    expected *= shape[i];
  }
  return out.rows <= 1 || out.row_stride >= out.cols;
}

/// The rows of a view that is known to be a row view; InternalError otherwise.
inline Rows rows_of(const ConstView& v) {
  Rows r;
  check<InternalError>(as_rows(v.shape, v.strides, r), "kernel: {} with strides {} is no row view",
                       v.shape, v.strides);
  return r;
}

}  // namespace tessera
