#pragma once

#include <cstdint>

#include "tensor/base/scalar_math.h"

namespace tessera {

/// Contiguous f32 rows. Outputs may be inputs.
struct ElementwiseKernels {
  /// y[i] = f(x[i])
  void (*unary)(UnaryOp f, const float* x, float* y, int64_t n);
  /// y[i] = f(a[i * sa], b[i * sb]); sa, sb are 0 or 1
  void (*binary)(BinaryOp f, const float* a, int64_t sa, const float* b, int64_t sb, float* y,
                 int64_t n);
  void (*bf16_to_f32)(const uint16_t* x, float* y, int64_t n);
  /// Rounds to nearest, ties to even; a NaN stays a NaN.
  void (*f32_to_bf16)(const float* x, uint16_t* y, int64_t n);
  /// Writes the transpose of an 8 x 8 block of f32: y[j][i] = x[i][j], strides in elements.
  void (*transpose8)(const float* x, int64_t x_stride, float* y, int64_t y_stride);
};

namespace portable {
extern const ElementwiseKernels elementwise_kernels;
}
namespace avx2 {
extern const ElementwiseKernels elementwise_kernels;
}
namespace avx512 {
extern const ElementwiseKernels elementwise_kernels;
}

/// Those of the active instruction set.
const ElementwiseKernels& elementwise_kernels();

}  // namespace tessera
