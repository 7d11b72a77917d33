#pragma once

#include "tensor/ops/matmul.h"
#include "tensor/ops/row_groups.h"
#include "tensor/record.h"

namespace tessera {

/// inputs: x, gamma of every group, beta of every group. statistics: mean, rstd (rows).
struct LayerNorm final : Op {
  RowGroups groups;
  double eps;
  LayerNorm(RowGroups g, double e) : groups(std::move(g)), eps(e) {}
  std::string_view name() const override { return "layer_norm"; }
};
/// inputs: x, delta, row_scale (undefined: 1), gammas, betas. outputs: sum, norm.
struct AddLayerNorm final : Op {
  RowGroups groups;
  double eps;
  AddLayerNorm(RowGroups g, double e) : groups(std::move(g)), eps(e) {}
  std::string_view name() const override { return "add_layer_norm"; }
};

/// Layer normalisation over the last axis.
///
///   y = (x - mean(x)) / sqrt(var(x) + eps) * gamma + beta
///
/// x            (..., C) floating; statistics are accumulated in f32 (f64 for f64)
/// gamma, beta  (C), dtype of x (f32 if x is 16-bit)
/// eps          added to the biased variance; >= 0
/// returns      (..., C), dtype of x
/// Source: Ba, Kiros, Hinton, "Layer Normalization", arXiv:1607.06450, eq. 3-4.
Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps = 1e-5);

/// Each range of rows of x (N, C) with its own gamma and beta.
Tensor grouped_layer_norm(const Tensor& x, const RowGroups& groups, std::span<const Tensor> gammas,
                          std::span<const Tensor> betas, double eps = 1e-5);

/// A residual sum and its norm, in one pass.
struct SumAndNorm {
  Tensor sum;   // x + row_scale * delta
  Tensor norm;  // layer norm of the sum
};
/// x, delta (N, C); row_scale (N) or undefined (1): the factor of drop path. A 16-bit sum is
/// rounded before the norm.
SumAndNorm add_layer_norm(const Tensor& x, const Tensor& delta, const Tensor& row_scale,
                          const RowGroups& groups, std::span<const Tensor> gammas,
                          std::span<const Tensor> betas, double eps = 1e-5);

namespace composed {
Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps);
Tensor grouped_layer_norm(const Tensor& x, const RowGroups& groups, std::span<const Tensor> gammas,
                          std::span<const Tensor> betas, double eps);
SumAndNorm add_layer_norm(const Tensor& x, const Tensor& delta, const Tensor& row_scale,
                          const RowGroups& groups, std::span<const Tensor> gammas,
                          std::span<const Tensor> betas, double eps);
}  // namespace composed

namespace kernels {
struct NormGrad {
  Tensor dx;
  Tensors dgamma, dbeta;  // one a group; undefined where the gradient went into a sink
};
/// Undefined dx if the backend declines. `residual` (undefined: none) is added to dx.
NormGrad layer_norm_backward(const Tensor& g, const Tensor& x, const RowGroups& groups,
                             std::span<const Tensor> gammas, const Tensor& mean, const Tensor& rstd,
                             const Tensor& residual, std::span<const Sink> dgamma,
                             std::span<const Sink> dbeta);
}  // namespace kernels

}  // namespace tessera
