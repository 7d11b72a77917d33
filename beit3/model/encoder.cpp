#include "beit3/model/encoder.h"

#include "autograd/autograd.h"
#include "tensor/ops/attention.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/gelu_layer_norm.h"
#include "tensor/ops/index.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {
namespace {

/// The residual sum, and its norm.
SumAndNorm settle(const Stream& s, const RowGroups& groups, const MultiwayNorm& norm, double eps) {
  if (!s.delta.defined()) return {s.h, norm(s.h, groups, eps)};
  return add_layer_norm(s.h, s.delta, s.scale, groups, norm.weight, norm.bias, eps);
}

Tensor chosen_rows(const Tensor& x, const Tensor& index) {
  return x.defined() ? index_select(x, index, 0) : x;
}

}  // namespace

SelfAttention::SelfAttention(int64_t width, const TensorOptions& options)
    : out_proj(width, width, options), inner_attn_ln(width, options) {
  for (Tensor& w : qkv_weight) w = requires_grad(zeros({3 * width, width}, options));
  for (Tensor& b : qkv_bias) b = requires_grad(zeros({3 * width}, options));
}

void SelfAttention::fields(nn::FieldVisitor& v) {
  // In the published order: k, v, q; in memory: q, k, v.
  constexpr std::pair<const char*, int64_t> kParts[] = {
      {"k_proj", 1}, {"v_proj", 2}, {"q_proj", 0}};
  for (const auto& [part, place] : kParts) {
    for (size_t i = 0; i < kBranches.size(); ++i) {
      const std::string name = std::string(part) + "." + kBranches[i];
      const int64_t width = qkv_weight[i].defined() ? qkv_weight[i].size(1) : 0;
      v.rows(name + ".weight", qkv_weight[i], place * width, (place + 1) * width);
      v.rows(name + ".bias", qkv_bias[i], place * width, (place + 1) * width);
    }
  }
  v("out_proj", out_proj);
  v("inner_attn_ln", inner_attn_ln);
}

MultiwayFeedForward::MultiwayFeedForward(int64_t width, int64_t inner,
                                         const TensorOptions& options) {
  for (size_t i = 0; i < kBranches.size(); ++i) {
    fc1_weight[i] = requires_grad(zeros({inner, width}, options));
    fc1_bias[i] = requires_grad(zeros({inner}, options));
    fc2_weight[i] = requires_grad(zeros({width, inner}, options));
    fc2_bias[i] = requires_grad(zeros({width}, options));
    norm_weight[i] = requires_grad(ones({inner}, options));
    norm_bias[i] = requires_grad(zeros({inner}, options));
  }
}

Tensor MultiwayFeedForward::operator()(const Tensor& x, const RowGroups& groups, double eps) const {
  const Tensor z = grouped_linear(x, groups, fc1_weight, fc1_bias);
  return grouped_linear(gelu_layer_norm(z, groups, norm_weight, norm_bias, eps), groups, fc2_weight,
                        fc2_bias);
}

void MultiwayFeedForward::fields(nn::FieldVisitor& v) {
  for (size_t i = 0; i < kBranches.size(); ++i) {
    const std::string branch = std::string(kBranches[i]) + ".";
    v(branch + "fc1.weight", fc1_weight[i]);
    v(branch + "fc1.bias", fc1_bias[i]);
    v(branch + "fc2.weight", fc2_weight[i]);
    v(branch + "fc2.bias", fc2_bias[i]);
    v(branch + "ffn_layernorm.weight", norm_weight[i]);
    v(branch + "ffn_layernorm.bias", norm_bias[i]);
  }
}

EncoderLayer::EncoderLayer(const ModelConfig& c, const TensorOptions& options)
    : self_attn(c.width, options),
      self_attn_layer_norm(c.width, options),
      ffn(c.width, c.ffn, options),
      final_layer_norm(c.width, options) {}

Stream EncoderLayer::operator()(const Stream& in, const PackedLayout& layout,
                                const ModelConfig& config, const Tensor& attention_scale,
                                const std::vector<int64_t>* keep, EncoderTrace* trace) const {
  const RowGroups& all = layout.groups();
  SumAndNorm first = settle(in, all, self_attn_layer_norm, config.norm_eps);
  const Tensor qkv =
      reshape(grouped_linear(first.norm, all, self_attn.qkv_weight, self_attn.qkv_bias),
              {layout.rows(), 3, config.heads, config.head_size()});
  Tensor context =
      reshape(segmented_attention(qkv, layout.segments()), {layout.rows(), config.width});
  RowGroups groups = all;
  Tensor scale = attention_scale;
  if (keep != nullptr) {
    const Tensor index = from_data(*keep, {static_cast<int64_t>(keep->size())}, context.device());
    context = chosen_rows(context, index);
    first.sum = chosen_rows(first.sum, index);
    scale = chosen_rows(scale, index);
    groups = groups_of(*keep, all);
  }
  context = self_attn.inner_attn_ln(context, groups, config.norm_eps);
  const Tensor out = self_attn.out_proj(context, groups);
  if (trace != nullptr) trace->attention.push_back(out);
  const SumAndNorm second =
      settle({first.sum, out, scale}, groups, final_layer_norm, config.norm_eps);
  const Stream result{second.sum, ffn(second.norm, groups, config.norm_eps), {}};
  if (trace != nullptr) trace->hidden.push_back(result.h + result.delta);
  return result;
}

void EncoderLayer::fields(nn::FieldVisitor& v) {
  v("self_attn", self_attn);
  v("self_attn_layer_norm", self_attn_layer_norm);
  v("ffn", ffn);
  v("final_layer_norm", final_layer_norm);
}

Encoder::Encoder(const ModelConfig& c, const TensorOptions& options)
    : has_final_norm_(c.normalize_output) {
  embed_positions[0] = requires_grad(zeros({c.image_rows() + kFirstPosition, c.width}, options));
  embed_positions[1] = requires_grad(zeros({c.text_positions, c.width}, options));
  for (int64_t i = 0; i < c.layers; ++i) layers.emplace_back(c, options);
  if (has_final_norm_) layer_norm = MultiwayNorm(c.width, options);
}

void Encoder::fields(nn::FieldVisitor& v) {
  v("embed_positions.A.weight", embed_positions[0]);
  v("embed_positions.B.weight", embed_positions[1]);
  v("layers", layers);
  if (has_final_norm_) v("layer_norm", layer_norm);
}

}  // namespace tessera::beit3
