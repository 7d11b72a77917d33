#pragma once

#include "backends/cpu/isa/elementwise.h"
#include "tensor/base/view.h"

/// Rows of f32 or bf16, of any stride, as contiguous f32 blocks for the vector kernels. What is
/// contiguous f32 already is used where it lies.
namespace tessera {

/// Elements of a block; a kernel's buffers of this size stay in the first-level cache.
inline constexpr int64_t kRowBlock = 1024;

class F32Input {
 public:
  F32Input(const ElementwiseKernels& kernels, const ConstView& v, int64_t offset, int64_t stride)
      : kernels_(kernels), stride_(stride), is_bf16_(v.dtype == DType::bf16) {
    data_ = static_cast<const char*>(v.data) + offset * (is_bf16_ ? 2 : 4);
  }

  /// `n` elements from `begin` on; `buffer` is used if they do not lie ready.
  const float* get(int64_t begin, int64_t n, float* buffer) const {
    if (is_bf16_) {
      const uint16_t* from = reinterpret_cast<const uint16_t*>(data_) + begin * stride_;
      if (stride_ == 1) {
        kernels_.bf16_to_f32(from, buffer, n);
      } else {
        for (int64_t i = 0; i < n; ++i) {
          buffer[i] = detail::float_of(static_cast<uint32_t>(from[i * stride_]) << 16);
        }
      }
      return buffer;
    }
    const float* from = reinterpret_cast<const float*>(data_) + begin * stride_;
    if (stride_ == 1) return from;
    for (int64_t i = 0; i < n; ++i) buffer[i] = from[i * stride_];
    return buffer;
  }

  /// The same, but one element if all are one (stride 0).
  const float* get_or_one(int64_t begin, int64_t n, float* buffer) const {
    return get(begin, stride_ == 0 ? 1 : n, buffer);
  }
  /// Step through what `get_or_one` gave.
  int64_t step() const { return stride_ == 0 ? 0 : 1; }

 private:
  const ElementwiseKernels& kernels_;
  const char* data_;
  int64_t stride_;
  bool is_bf16_;
};

class F32Output {
 public:
  F32Output(const ElementwiseKernels& kernels, const View& v, int64_t offset, int64_t stride)
      : kernels_(kernels), stride_(stride), is_bf16_(v.dtype == DType::bf16) {
    data_ = static_cast<char*>(v.data) + offset * (is_bf16_ ? 2 : 4);
  }

  /// Where a kernel should write the elements from `begin` on: in place, or into `buffer`.
  float* where(int64_t begin, float* buffer) const {
    return is_bf16_ || stride_ != 1 ? buffer : reinterpret_cast<float*>(data_) + begin;
  }

  /// Brings what was written to `from`, which `where` gave, to its place.
  void put(int64_t begin, int64_t n, const float* from) const {
    if (is_bf16_) {
      uint16_t* to = reinterpret_cast<uint16_t*>(data_) + begin * stride_;
      if (stride_ == 1) {
        kernels_.f32_to_bf16(from, to, n);
      } else {
        for (int64_t i = 0; i < n; ++i) to[i * stride_] = bf16(from[i]).bits;
      }
    } else if (stride_ != 1) {
      float* to = reinterpret_cast<float*>(data_) + begin * stride_;
      for (int64_t i = 0; i < n; ++i) to[i * stride_] = from[i];
    }
  }

 private:
  const ElementwiseKernels& kernels_;
  char* data_;
  int64_t stride_;
  bool is_bf16_;
};

}  // namespace tessera
