#pragma once

#include <array>
#include <optional>

#include "beit3/model/config.h"
#include "beit3/model/multiway.h"
#include "tensor/base/rng.h"
#include "tensor/ops/layer_norm.h"

namespace tessera::beit3 {

/// What a forward pass is told besides its data. A module holds no mode.
struct Pass {
  bool training = false;   ///< drop path acts
  RandomKey key{};         ///< of this step; every draw is a function of it
  bool recompute = false;  ///< layers run again in the backward pass instead of keeping activations
  /// Of the activations; bf16 halves what is kept for the backward pass. None: that of the
  /// parameters.
  std::optional<DType> dtype{};
  /// For drop path: the sample of each sequence of the layout; empty: its number in the layout.
  std::vector<int64_t> samples{};
};

/// The experts of attention, of the norm before it, and of the last norm: branches A and B; in the
/// paper's form all rows share one.
Experts attention_experts(const ModelConfig& config);
/// The experts of the feed-forward network of layer 0 … L-1 and of the norm before it: A and B; in
/// the paper's form V and L, and VL between them where the layer has it.
Experts feed_forward_experts(const ModelConfig& config, int64_t layer);

/// q, k and v are one product: a (3C, C) parameter an expert, known to files as its row slices
/// q_proj, k_proj and v_proj. Rows of one sequence meet only inside the attention itself.
struct SelfAttention : nn::Module {
  Experts experts;
  Tensors qkv_weight, qkv_bias;  // one an expert: (3C, C), (3C), rows q, k, v
  MultiwayLinear out_proj;
  std::optional<MultiwayNorm> inner_attn_ln;  // Sub-LN: over all heads together, before out_proj

  SelfAttention() = default;
  explicit SelfAttention(const ModelConfig& config, const nn::ParameterOptions& options = {});
  void fields(nn::FieldVisitor& v) override;
};

/// The feed-forward networks of all experts. Published names put the expert first.
struct MultiwayFeedForward : nn::Module {
  Experts experts;
  Tensors fc1_weight, fc1_bias, fc2_weight, fc2_bias;  // one an expert
  Tensors norm_weight, norm_bias;                      // Sub-LN; none in the paper's form

  MultiwayFeedForward() = default;
  MultiwayFeedForward(const ModelConfig& config, int64_t layer,
                      const nn::ParameterOptions& options = {});
  /// fc2(norm(gelu(fc1(x)))) of each row's expert; without Sub-LN fc2(gelu(fc1(x)))
  Tensor operator()(const Tensor& x, const Routes& routes, double eps) const;
  void fields(nn::FieldVisitor& v) override;
};

/// The residual stream, with the newest branch output not yet added: the next norm adds it.
struct Stream {
  Tensor h;      // (N, C)
  Tensor delta;  // (N, C), or undefined: nothing to add
  Tensor scale;  // (N), drop path's factor of delta, or undefined: 1
};

/// The residual sum h + scale * delta, and its norm.
SumAndNorm settle(const Stream& stream, const Routes& routes, const MultiwayNorm& norm, double eps);

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
  /// `layer`: its number, 0 … L-1, which decides what experts it has.
  EncoderLayer(const ModelConfig& config, int64_t layer, const nn::ParameterOptions& options = {});

  /// One layer over all rows.
  ///
  ///   u = norm(h),  o = out(inner_norm(attention(qkv(u)))),  h += o
  ///   u = norm(h),  y = fc2(norm(gelu(fc1(u)))),             h += y
  ///
  /// The norms within the brackets are Sub-LN, which the paper's form has not.
  ///
  /// `keep` (rows in ascending order; null: all) drops the other rows after the attention: nothing
  /// later reads them.
  Stream operator()(const Stream& in, const PackedLayout& layout, const ModelConfig& config,
                    const Tensor& attention_scale, const std::vector<int64_t>* keep,
                    EncoderTrace* trace) const;
  void fields(nn::FieldVisitor& v) override;
};

struct Encoder : nn::Module {
  /// A: of images (N + 3, C), B: of texts (1024, C), in both forms. Rows 0 and 1 are never read.
  std::array<Tensor, 2> embed_positions;
  std::vector<EncoderLayer> layers;
  std::optional<MultiwayNorm> layer_norm;  // the final norm; there if config.normalize_output

  Encoder() = default;
  explicit Encoder(const ModelConfig& config, const nn::ParameterOptions& options = {});
  void fields(nn::FieldVisitor& v) override;
};

}  // namespace tessera::beit3
