#pragma once

#include "beit3/vqkd/vit.h"

namespace tessera::beit3 {

/// CLIP's vision tower as a teacher: what it says of each patch, in the space that texts share.
///
/// A ViT with a norm before the blocks and one behind them, activation x sigmoid(1.702 x), and a
/// patch projection without bias. Published names: class_embedding, positional_embedding, proj,
/// conv1, ln_pre, transformer.resblocks.i.{attn.in_proj_weight, attn.in_proj_bias, attn.out_proj,
/// ln_1, mlp.c_fc, mlp.c_proj, ln_2}, ln_post.
/// Source: Radford et al., arXiv:2103.00020, and the published code (MIT).
struct ClipTeacher : nn::Module {
  struct Block : nn::Module {
    nn::SelfAttention attn;
    nn::LayerNorm ln_1, ln_2;
    nn::Linear c_fc, c_proj;

    Block(const VitSizes& sizes, RandomKey key, const TensorOptions& options);
    /// h (rows, C) -> (rows, C)
    Tensor operator()(const Tensor& h, const Segments& segments) const;
    void fields(nn::FieldVisitor& v) override;
  };

  VitSizes sizes;
  Tensor conv1;                 // (C, 3, P, P)
  Tensor class_embedding;       // (C)
  Tensor positional_embedding;  // (N + 1, C)
  Tensor proj;                  // (C, out)
  nn::LayerNorm ln_pre, ln_post;
  std::vector<Block> blocks;

  /// `out` is the width of what it says. The published one: {.width = 768, .heads = 12, .layers =
  /// 12, .patch = 16, .grid = 14, .norm_eps = 1e-5}, 512.
  ClipTeacher(const VitSizes& sizes, int64_t out, RandomKey key = {},
              const TensorOptions& options = {});

  /// pixels (B, 3, S, S) by teacher_pixels with kClipStatistics -> (B * N, out). ShapeError unless
  /// S is grid * patch.
  Tensor operator()(const Tensor& pixels, VitTrace* trace = nullptr) const;
  void fields(nn::FieldVisitor& v) override;
};

/// DINO's vision transformer as a teacher: the closing norm's output for each patch. pixels by
/// teacher_pixels with kImageNet, cut by nn::patches.
///
/// A VitTower whose keys have a bias too and whose closing norm is called "norm". The published
/// one: width 768, heads 12, layers 12, patch 16, grid 14.
/// Source: Caron et al., arXiv:2104.14294, and the published code (Apache 2.0).
VitTower dino_teacher(VitSizes sizes, RandomKey key = {}, const TensorOptions& options = {});

}  // namespace tessera::beit3
