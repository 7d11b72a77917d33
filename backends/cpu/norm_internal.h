#pragma once

#include <span>

#include "backends/cpu/isa/layer_norm.h"
#include "tensor/base/backend_types.h"

namespace tessera {

/// The kernels of the active instruction set.
const LayerNormKernels& layer_norm_kernels();
template <class T>
const NormKernels<T>& norm_kernels();

/// What all norms' forward passes have in common: the same chunks of rows, group by group.
template <class T>
void norm_forward(const ConstView& x, const ConstView& delta, const ConstView& row_scale,
                  std::span<const NormGroup> groups, double eps, const View& sum, const View& y,
                  const View& mean, const View& rstd, void (*kernel)(const NormForward<T>&));

/// And their backward passes, with partial sums of the parameters' gradients a chunk, added in
/// order. `buffered`: the kernel wants 2 * cols elements of its own.
template <class T>
void norm_backward(const ConstView& g, const ConstView& x, std::span<const NormGroup> groups,
                   const ConstView& mean, const ConstView& rstd, const ConstView& residual,
                   const View& dx, std::span<const NormGroupGrad> grads, bool buffered,
                   void (*kernel)(const NormBackward<T>&));

}  // namespace tessera
