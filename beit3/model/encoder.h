#pragma once

#include "beit3/model/config.h"
#include "beit3/model/multiway.h"
#include "beit3/model/packed.h"
#include "tensor/base/rng.h"

namespace tessera::beit3 {

/// What a forward pass is told besides its data. A module holds no mode.
struct Pass {
  bool training = false;   ///< drop path acts
  RandomKey key{};         ///< of this step; every draw is a function of it
  bool recompute = false;  ///< layers run again in the backward pass instead of keeping activations
  /// For drop path: the sample of each sequence of the layout; empty: its number in the layout.
  std::vector<int64_t> samples{};
};

/// q, k and v are one product: a (3C, C) parameter a branch, known to files as its row slices
/// q_proj, k_proj and v_proj. The modalities meet only inside the attention itself.
struct SelfAttention : nn::Module {
  Branched qkv_weight, qkv_bias;  // (3C, C), (3C): rows q, k, v
  MultiwayLinear out_proj;
  MultiwayNorm inner_attn_ln;  // Sub-LN: over all heads together, before out_proj

  SelfAttention() = default;
  explicit SelfAttention(int64_t width, const TensorOptions& options = {});
  void fields(nn::FieldVisitor& v) override;
};

/// The feed-forward networks of both branches. Published names put the branch first.
struct MultiwayFeedForward : nn::Module {
  Branched fc1_weight, fc1_bias, fc2_weight, fc2_bias, norm_weight, norm_bias;

  MultiwayFeedForward() = default;
  MultiwayFeedForward(int64_t width, int64_t inner, const TensorOptions& options = {});
  /// fc2(norm(gelu(fc1(x)))) of each row's branch
  Tensor operator()(const Tensor& x, const RowGroups& groups, double eps) const;
  void fields(nn::FieldVisitor& v) override;
};

/// The residual stream, with the newest branch output not yet added: the next norm adds it.
struct Stream {
  Tensor h;      // (N, C)
  Tensor delta;  // (N, C), or undefined: nothing to add
  Tensor scale;  // (N), drop path's factor of delta, or undefined: 1
};

/// What a layer tells an observer.
struct EncoderTrace {
  Tensors attention;  // each layer's attention output, after out_proj
  Tensors hidden;     // each layer's output
};

struct EncoderLayer : nn::Module {
  SelfAttention self_attn;
  MultiwayNorm self_attn_layer_norm;
  MultiwayFeedForward ffn;
  MultiwayNorm final_layer_norm;  // before the feed-forward network, despite its published name

  EncoderLayer() = default;
  explicit EncoderLayer(const ModelConfig& config, const TensorOptions& options = {});

  /// One layer over all rows.
  ///
  ///   u = norm(h),  o = out(inner_norm(attention(qkv(u)))),  h += o
  ///   u = norm(h),  y = fc2(norm(gelu(fc1(u)))),             h += y
  ///
  /// `keep` (rows in ascending order; null: all) drops the other rows after the attention: nothing
  /// later reads them.
  Stream operator()(const Stream& in, const PackedLayout& layout, const ModelConfig& config,
                    const Tensor& attention_scale, const std::vector<int64_t>* keep,
                    EncoderTrace* trace) const;
  void fields(nn::FieldVisitor& v) override;
};

struct Encoder : nn::Module {
  Branched embed_positions;  // A (N + 3, C), B (1024, C); rows 0 and 1 of both are never read
  std::vector<EncoderLayer> layers;
  MultiwayNorm layer_norm;  // the final norm; used if config.normalize_output

  Encoder() = default;
  explicit Encoder(const ModelConfig& config, const TensorOptions& options = {});
  void fields(nn::FieldVisitor& v) override;

 private:
  bool has_final_norm_ = true;
};

}  // namespace tessera::beit3
