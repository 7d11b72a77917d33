#include "backends/cpu/isa/softmax.h"

#include "backends/cpu/isa/simd.h"

// A row at a time: the maximum, then exponentials and their sum, then the quotient. The second and
// third pass find the row in cache.
namespace tessera {
namespace {

template <class V, class T>
[[gnu::flatten]] void forward(const T* x, int64_t x_stride, T* y, int64_t y_stride, int64_t rows,
                              int64_t cols) {
  if (cols == 0) return;
  for (int64_t r = 0; r < rows; ++r, x += x_stride, y += y_stride) {
    V most(x[0]);
    int64_t j = 0;
    for (; j + 16 <= cols; j += 16) most = max(V::load(x + j), most);
    if (j < cols) most = max(select(V::first(cols - j), V::load(x + j, cols - j), V(x[0])), most);
    const V shift(max_of(most));
    V total(T(0));
    for (j = 0; j + 16 <= cols; j += 16) {
      const V e = exp(V::load(x + j) - shift);
      e.store(y + j);
      total = total + e;
    }
    if (j < cols) {
      const V e = select(V::first(cols - j), exp(V::load(x + j, cols - j) - shift), V(T(0)));
      e.store(y + j, cols - j);
      total = total + e;
    }
    const V factor(T(1) / sum(total));
    for (j = 0; j + 16 <= cols; j += 16) (V::load(y + j) * factor).store(y + j);
    if (j < cols) (V::load(y + j, cols - j) * factor).store(y + j, cols - j);
  }
}

template <class V, class T>
[[gnu::flatten]] void backward(const T* g, int64_t g_stride, const T* y, int64_t y_stride, T* dx,
                               int64_t dx_stride, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, g += g_stride, y += y_stride, dx += dx_stride) {
    V dot(T(0));
    int64_t j = 0;
    for (; j + 16 <= cols; j += 16) dot = fma(V::load(g + j), V::load(y + j), dot);
    if (j < cols) dot = fma(V::load(g + j, cols - j), V::load(y + j, cols - j), dot);
    const V mean(sum(dot));
    for (j = 0; j + 16 <= cols; j += 16) {
      (V::load(y + j) * (V::load(g + j) - mean)).store(dx + j);
    }
    if (j < cols) {
      const int64_t n = cols - j;
      (V::load(y + j, n) * (V::load(g + j, n) - mean)).store(dx + j, n);
    }
  }
}

}  // namespace

namespace TESSERA_ISA {
extern const SoftmaxKernels softmax_kernels = {
    .f32 = {forward<F32x16, float>, backward<F32x16, float>},
    .f64 = {forward<F64x16, double>, backward<F64x16, double>},
};
}

}  // namespace tessera
