#pragma once

#include "tensor/ops/layer_norm.h"

namespace tessera {

/// inputs: x, gamma of every group, beta of every group. statistics: mean, rstd of gelu(x).
struct GeluLayerNorm final : Op {
  RowGroups groups;
  double eps;
  GeluLayerNorm(RowGroups g, double e) : groups(std::move(g)), eps(e) {}
  std::string_view name() const override { return "gelu_layer_norm"; }
};

/// Activation and Sub-LN of a feed-forward network in one pass: layer_norm(gelu(x)).
///
/// x (N, C) -> (N, C), each range of rows with its own gamma and beta.
/// Source: Wang et al., "Foundation Transformers", arXiv:2210.06423 (Sub-LN).
Tensor gelu_layer_norm(const Tensor& x, const RowGroups& groups, std::span<const Tensor> gammas,
                       std::span<const Tensor> betas, double eps = 1e-5);

namespace composed {
Tensor gelu_layer_norm(const Tensor& x, const RowGroups& groups, std::span<const Tensor> gammas,
                       std::span<const Tensor> betas, double eps);
}
namespace kernels {
/// Undefined dx if the backend declines.
NormGrad gelu_layer_norm_backward(const Tensor& g, const Tensor& x, const RowGroups& groups,
                                  std::span<const Tensor> gammas, const Tensor& mean,
                                  const Tensor& rstd, std::span<const Sink> dgamma,
                                  std::span<const Sink> dbeta);
}  // namespace kernels

}  // namespace tessera
