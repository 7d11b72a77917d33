#pragma once

#include "tensor/tensor.h"

namespace tessera {

// In place, for leaves, never recorded.

/// One parameter of an AdamW step. All tensors share shape, dtype and device.
struct AdamWItem {
  Tensor param{}, grad{}, m{}, v{};
  Tensor average{};  ///< moving average of the parameter; undefined: none
  double lr = 0, weight_decay = 0;
};
struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  int64_t step = 1;          ///< counts from 1
  double average_decay = 0;  ///< of `average`
  Tensor grad_scale{};       ///< scalar on the device: gradients are multiplied by it
};

/// Adam with decoupled weight decay, many tensors in one pass.
///
///   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
///   p = p - lr wd p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
///
/// Source: Loshchilov, Hutter, arXiv:1711.05101, algorithm 2.
void adamw_update(std::span<const AdamWItem> items, const AdamWOptions& options);

/// Scalar: the 2-norm of all tensors together. Accumulated in f64.
Tensor global_norm(std::span<const Tensor> tensors);

/// Scalar: min(1, max_norm / (norm + 1e-6)), the factor of gradient clipping; 0 if the norm is not
/// finite, so that such a step changes no moments beyond decay.
Tensor clip_scale(const Tensor& norm, double max_norm);

}  // namespace tessera
