#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/norm_internal.h"

namespace tessera {

bool CpuBackend::try_gelu_layer_norm(ConstView x, std::span<const NormGroup> groups, double eps,
                                     View y, View mean, View rstd) {
  if (x.dtype == DType::f64) {
    norm_forward<double>(x, {}, {}, groups, eps, {}, y, mean, rstd,
                         norm_kernels<double>().gelu_forward);
  } else if (x.dtype == DType::f32 || x.dtype == DType::bf16) {
    norm_forward<float>(x, {}, {}, groups, eps, {}, y, mean, rstd,
                        norm_kernels<float>().gelu_forward);
  } else {
    return false;
  }
  return true;
}

bool CpuBackend::try_gelu_layer_norm_backward(ConstView g, ConstView x,
                                              std::span<const NormGroup> groups, ConstView mean,
                                              ConstView rstd, View dx,
                                              std::span<const NormGroupGrad> grads) {
  if (x.dtype == DType::f64) {
    norm_backward<double>(g, x, groups, mean, rstd, {}, dx, grads, true,
                          norm_kernels<double>().gelu_backward);
  } else if (x.dtype == DType::f32 || x.dtype == DType::bf16) {
    norm_backward<float>(g, x, groups, mean, rstd, {}, dx, grads, true,
                         norm_kernels<float>().gelu_backward);
  } else {
    return false;
  }
  return true;
}

}  // namespace tessera
