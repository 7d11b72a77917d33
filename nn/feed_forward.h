#pragma once

#include <optional>

#include "nn/layer_norm.h"
#include "nn/linear.h"

namespace tessera::nn {

struct FeedForwardOptions {
  bool sub_layer_norm = false;  ///< Sub-LN: normalise the activations before fc2
  double eps = 1e-5;            ///< of that norm
  TensorOptions tensor = {};
};

/// The two-layer network of a Transformer block: fc2(gelu(fc1(x))), or with Sub-LN
/// fc2(norm(gelu(fc1(x)))), where activation and norm are one pass.
///
/// Source: Dosovitskiy et al., arXiv:2010.11929; Wang et al., arXiv:2210.06423 (Sub-LN).
struct FeedForward : Module {
  Linear fc1;
  std::optional<LayerNorm> ffn_layernorm;
  Linear fc2;

  FeedForward(int64_t width, int64_t hidden, RandomKey key, const FeedForwardOptions& options = {});

  /// x (..., C) -> (..., C)
  Tensor operator()(const Tensor& x) const;
  void fields(FieldVisitor& v) override;
  std::string describe() const override { return "FeedForward"; }
};

}  // namespace tessera::nn
