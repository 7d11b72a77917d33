#pragma once

#include <cstdint>

namespace tessera {

struct GeluKernels {
  /// dx = g gelu'(x) of contiguous elements; dx may be g.
  void (*backward_f32)(const float* g, const float* x, float* dx, int64_t n);
  void (*backward_f64)(const double* g, const double* x, double* dx, int64_t n);
};

namespace portable {
extern const GeluKernels gelu_kernels;
}
namespace avx2 {
extern const GeluKernels gelu_kernels;
}
namespace avx512 {
extern const GeluKernels gelu_kernels;
}

}  // namespace tessera
