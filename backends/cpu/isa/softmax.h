#pragma once

#include <cstdint>

namespace tessera {

template <class T>
struct SoftmaxHalf {
  /// y = softmax(x) of each row. Strides between rows, in elements.
  void (*forward)(const T* x, int64_t x_stride, T* y, int64_t y_stride, int64_t rows, int64_t cols);
  /// dx = y (g - sum(g y)); dx may be g.
  void (*backward)(const T* g, int64_t g_stride, const T* y, int64_t y_stride, T* dx,
                   int64_t dx_stride, int64_t rows, int64_t cols);
};

struct SoftmaxKernels {
  SoftmaxHalf<float> f32;
  SoftmaxHalf<double> f64;
};

namespace portable {
extern const SoftmaxKernels softmax_kernels;
}
namespace avx2 {
extern const SoftmaxKernels softmax_kernels;
}
namespace avx512 {
extern const SoftmaxKernels softmax_kernels;
}

}  // namespace tessera
