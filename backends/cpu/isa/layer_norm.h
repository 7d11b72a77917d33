#pragma once

#include <cstdint>

namespace tessera {

/// Rows of a norm's forward pass. Strides are in elements between rows.
template <class T>
struct NormForward {
  int64_t rows = 0, cols = 0;
  const T* x = nullptr;
  int64_t x_stride = 0;
  const T* delta = nullptr;  ///< added to x, times row_scale; may be null
  int64_t delta_stride = 0;
  const T* row_scale = nullptr;  ///< may be null: 1
  T* sum = nullptr;              ///< x + row_scale * delta; with delta only
  int64_t sum_stride = 0;
  const T* gamma = nullptr;
  const T* beta = nullptr;
  T eps = 0;
  T* y = nullptr;
  int64_t y_stride = 0;
  T* mean = nullptr;  ///< (rows)
  T* rstd = nullptr;
};

/// Rows of a norm's backward pass.
template <class T>
struct NormBackward {
  int64_t rows = 0, cols = 0;
  const T* g = nullptr;
  int64_t g_stride = 0;
  const T* x = nullptr;
  int64_t x_stride = 0;
  const T* gamma = nullptr;
  const T* mean = nullptr;
  const T* rstd = nullptr;
  const T* residual = nullptr;  ///< added to dx; may be null
  int64_t residual_stride = 0;
  T* dx = nullptr;
  int64_t dx_stride = 0;
  T* dgamma = nullptr;  ///< (cols), added to
  T* dbeta = nullptr;   ///< (cols), added to
  T* buffer = nullptr;  ///< 2 * cols elements, of the norm of gelu only
};

template <class T>
struct NormKernels {
  void (*forward)(const NormForward<T>&);  // norm(x) or norm(x + row_scale * delta)
  void (*backward)(const NormBackward<T>&);
  void (*gelu_forward)(const NormForward<T>&);  // norm(gelu(x))
  void (*gelu_backward)(const NormBackward<T>&);
};

struct LayerNormKernels {
  NormKernels<float> f32;
  NormKernels<double> f64;
};

namespace portable {
extern const LayerNormKernels layer_norm_kernels;
}
namespace avx2 {
extern const LayerNormKernels layer_norm_kernels;
}
namespace avx512 {
extern const LayerNormKernels layer_norm_kernels;
}

}  // namespace tessera
