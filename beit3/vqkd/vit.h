#pragma once

#include <string_view>
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
  nn::QkvBias bias = nn::QkvBias::query_value;
  std::string_view closing_norm = "fc_norm";  ///< published name of the norm at the end

  int64_t patches() const { return grid * grid; }
};

/// What a tower tells an observer. Rows: patches of all pictures, then all class tokens.
struct VitTrace {
  Tensor embedded;    // what enters block 0
  Tensors attention;  // each block's attention output, after proj
  Tensors hidden;     // each block's output
};

/// Attention among the rows of each picture, where the patches of all pictures come first and the
/// class tokens after them: the results of the patches are then one contiguous range, and positions
/// are added without copying rows together.
Segments vit_segments(int64_t images, int64_t patches);

/// The residual stream of a block: the newest branch output waits for the next norm to add it.
struct VitStream {
  Tensor h;      // (rows, C)
  Tensor delta;  // (rows, C), or undefined: nothing to add
};

/// A pre-norm block: h += proj(attention(norm1(h))); h += fc2(gelu(fc1(norm2(h)))).
///
/// By default queries and values have a bias, keys have none. Published names: norm1,
/// attn.{q_bias, v_bias, qkv.weight, proj}, norm2, mlp.{fc1, fc2}.
/// Source: Dosovitskiy et al., arXiv:2010.11929, in the form of BEiT (arXiv:2106.08254).
struct VitBlock : nn::Module {
  nn::LayerNorm norm1, norm2;
  nn::SelfAttention attn;
  nn::FeedForward mlp;

  VitBlock(const VitSizes& sizes, RandomKey key, const TensorOptions& options = {});
  VitStream operator()(const VitStream& in, const Segments& segments,
                       VitTrace* trace = nullptr) const;
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
  ///
  /// grid    patches along a side of these pictures; 0: sizes.grid. For another size the positions
  ///         are resampled.
  /// trace   filled with what happens on the way, if given
  ///
  /// ShapeError if the rows are no multiple of N.
  Tensor operator()(const Tensor& patches, int64_t grid = 0, VitTrace* trace = nullptr) const;
  /// (1, grid^2 + 1, C): pos_embed, or for another grid the patches' part of it resampled as the
  /// published code does (`resample_positions` with step sizes.grid / (grid + 0.1)).
  Tensor positions(int64_t grid) const;
  void fields(nn::FieldVisitor& v) override;
  std::string describe() const override { return "VitTower"; }
};

}  // namespace tessera::beit3
