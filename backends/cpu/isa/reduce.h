#pragma once

#include <cstdint>

namespace tessera {

/// Largest and smallest of contiguous f32; a NaN wins.
struct ReduceKernels {
  /// The largest of x[0 … n-1]; -inf of nothing.
  float (*max_row)(const float* x, int64_t n);
  float (*min_row)(const float* x, int64_t n);
  /// y[i] = the larger of y[i] and x[i]
  void (*max_into)(const float* x, float* y, int64_t n);
  void (*min_into)(const float* x, float* y, int64_t n);
  /// The first i with x[i] == value (with x[i] NaN, if value is); n if there is none.
  int64_t (*find)(const float* x, int64_t n, float value);
};

namespace portable {
extern const ReduceKernels reduce_kernels;
}
namespace avx2 {
extern const ReduceKernels reduce_kernels;
}
namespace avx512 {
extern const ReduceKernels reduce_kernels;
}

}  // namespace tessera
