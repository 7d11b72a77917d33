#pragma once

#include "beit3/model/config.h"
#include "beit3/model/packed.h"
#include "nn/module.h"
#include "nn/parameter.h"

namespace tessera::beit3 {

/// Patches to vectors. Published names: vision_embed.{mask_token, cls_token, proj.weight,
/// proj.bias}.
struct VisionEmbedding : nn::Module {
  Tensor mask_token;   // (1, 1, C): stands for a masked patch
  Tensor cls_token;    // (1, 1, C)
  Tensor proj_weight;  // (C, 3, P, P): a convolution whose stride is its kernel
  Tensor proj_bias;    // (C)

  VisionEmbedding() = default;
  explicit VisionEmbedding(const ModelConfig& config, const nn::ParameterOptions& options = {});
  /// images (B, 3, S, S), masked (B * N) boolean or undefined -> (B, N + 1, C), CLS first.
  Tensor operator()(const Tensor& images, const Tensor& masked) const;
  void fields(nn::FieldVisitor& v) override;
};

/// (B, 3, S, S) -> (B * N, 3 P P): each patch as the row that a (C, 3, P, P) weight multiplies.
Tensor patch_rows(const Tensor& images, int64_t patch);

}  // namespace tessera::beit3
