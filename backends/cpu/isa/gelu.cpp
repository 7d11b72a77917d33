#include "backends/cpu/isa/gelu.h"

#include "backends/cpu/isa/simd.h"
#include "tensor/base/scalar_math.h"

namespace tessera {
namespace {

template <class V, class T>
[[gnu::flatten]] void backward(const T* g, const T* x, T* dx, int64_t n) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) (V::load(g + i) * GeluGrad{}(V::load(x + i))).store(dx + i);
  if (i < n) {
    (V::load(g + i, n - i) * GeluGrad{}(V::load(x + i, n - i))).store(dx + i, n - i);
  }
}

}  // namespace

namespace TESSERA_ISA {
extern const GeluKernels gelu_kernels = {
    .backward_f32 = backward<F32x16, float>,
    .backward_f64 = backward<F64x16, double>,
};
}

}  // namespace tessera
