#pragma once

#include <vector>

#include "nn/attention.h"
#include "nn/feed_forward.h"
#include "nn/layer_norm.h"
#include "nn/patch_embed.h"

namespace tessera::beit3 {

/// Sizes of a plain vision transformer.
struct VitSizes {
  int64_t width = 64, heads = 4, layers = 2;
  int64_t channels = 3;  ///< of the input
  int64_t patch = 8;     ///< side of a patch, in pixels
  int64_t grid = 8;      ///< patches along a side of the square input
  int64_t ffn = 0;       ///< inner size of the feed-forward network; 0: 4 width
  double norm_eps = 1e-6;

  int64_t patches() const { return grid * grid; }
};

/// The residual stream of a block: the newest branch output waits for the next norm to add it.
struct VitStream {
  Tensor h;      // (rows, C)
  Tensor delta;  // (rows, C), or undefined: nothing to add
};

/// A pre-norm block: h += proj(attention(norm1(h))); h += fc2(gelu(fc1(norm2(h)))).
///
/// Queries and values have a bias, keys have none. Published names: norm1, attn.{q_bias, v_bias,
/// qkv.weight, proj}, norm2, mlp.{fc1, fc2}.
/// Source: Dosovitskiy et al., arXiv:2010.11929, in the form of BEiT (arXiv:2106.08254).
struct VitBlock : nn::Module {
  nn::LayerNorm norm1, norm2;
  nn::SelfAttention attn;
  nn::FeedForward mlp;

  VitBlock(const VitSizes& sizes, RandomKey key, const TensorOptions& options = {});
  VitStream operator()(const VitStream& in, const Segments& segments) const;
  void fields(nn::FieldVisitor& v) override;
  std::string describe() const override { return "VitBlock"; }
};

/// Patches and a class token with learned positions, blocks, and a norm of the patch rows. The
/// class token takes part in attention; its result is left out.
///
/// Published names: cls_token, pos_embed, patch_embed.proj, blocks.i, fc_norm.
struct VitTower : nn::Module {
  VitSizes sizes;
  Tensor cls_token;  // (1, 1, C)
  Tensor pos_embed;  // (1, N + 1, C): row 0 belongs to the class token
  nn::PatchEmbed patch_embed;
  std::vector<VitBlock> blocks;
  nn::LayerNorm fc_norm;

  /// Matrices and biases start as their layers do, tokens and positions N(0, 0.02^2).
  VitTower(const VitSizes& sizes, RandomKey key, const TensorOptions& options = {});

  /// patches (B * N, channels * P * P), a row a patch (see nn::patches) -> (B * N, C).
  /// ShapeError if the rows are no multiple of N.
  Tensor operator()(const Tensor& patches) const;
  void fields(nn::FieldVisitor& v) override;
  std::string describe() const override { return "VitTower"; }
};

}  // namespace tessera::beit3
