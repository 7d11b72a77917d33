#pragma once

#include "nn/module.h"

namespace tessera::nn {

/// The gradients that exist, in order.
Tensors gradients(const NamedParameters& parameters);

/// Scalar on the device: the 2-norm of all gradients together, 0 if there are none. Does not wait.
Tensor grad_norm(const NamedParameters& parameters);

/// g times the scalar `factor`; zeros if that is 0, even where g is not finite.
Tensor scaled_gradient(const Tensor& g, const Tensor& factor);

/// Scales all gradients in place so that their common norm is at most `max_norm`; returns the norm
/// before. A norm that is not finite makes them zero. Optimizers that clip in their own pass
/// (AdamWSettings::max_grad_norm) read the gradients once less.
/// Source: Pascanu, Mikolov, Bengio, arXiv:1211.5063, algorithm 1.
Tensor clip_gradients(const NamedParameters& parameters, double max_norm);

}  // namespace tessera::nn
