#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_features.h"
#include "backends/cpu/isa/gelu.h"
#include "tensor/base/parallel.h"

namespace tessera {
namespace {

const GeluKernels& gelu_kernels() { return TESSERA_OF_ACTIVE_ISA(gelu_kernels); }

}  // namespace

bool CpuBackend::try_gelu_backward(ConstView g, ConstView x, View dx) {
  if (!is_contiguous(g) || !is_contiguous(x) || !is_contiguous(dx)) return false;
  if (x.dtype != DType::f32 && x.dtype != DType::f64) return false;
  parallel_ranges(x.numel(), 16384, [&](int64_t begin, int64_t end) {
    if (x.dtype == DType::f64) {
      gelu_kernels().backward_f64(g.as<double>() + begin, x.as<double>() + begin,
                                  dx.as<double>() + begin, end - begin);
    } else {
      gelu_kernels().backward_f32(g.as<float>() + begin, x.as<float>() + begin,
                                  dx.as<float>() + begin, end - begin);
    }
  });
  return true;
}

}  // namespace tessera
