#include "beit3/model/encoder.h"

#include "tensor/ops/attention.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/gelu_layer_norm.h"
#include "tensor/ops/index.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {
namespace {

Tensor chosen_rows(const Tensor& x, const Tensor& index) {
  return x.defined() ? index_select(x, index, 0) : x;
}

}  // namespace

Experts attention_experts(const ModelConfig& c) {
  if (c.form == Form::paper) return {Routing::shared, {""}};
  return {Routing::modality, {"A", "B"}};
}

Experts feed_forward_experts(const ModelConfig& c, int64_t layer) {
  if (c.form == Form::released) return {Routing::modality, {"A", "B"}};
  if (c.has_vl_expert(layer)) return {Routing::sequence, {"V", "VL", "L"}};
  return {Routing::modality, {"V", "L"}};
}

SumAndNorm settle(const Stream& s, const Routes& routes, const MultiwayNorm& norm, double eps) {
  if (!s.delta.defined()) return {s.h, norm(s.h, routes, eps)};
  return add_layer_norm(s.h, s.delta, s.scale, routes[norm.experts.routing], norm.weight, norm.bias,
                        eps);
}

SelfAttention::SelfAttention(const ModelConfig& c, const nn::ParameterOptions& options)
    : experts(attention_experts(c)), out_proj(c.width, c.width, experts, options) {
  for (size_t i = 0; i < experts.size(); ++i) {
    qkv_weight.push_back(nn::zero_parameter({3 * c.width, c.width}, options));
    qkv_bias.push_back(nn::zero_parameter({3 * c.width}, options));
  }
  if (c.form == Form::released) inner_attn_ln.emplace(c.width, experts, options);
}

void SelfAttention::fields(nn::FieldVisitor& v) {
  // In the published order: k, v, q; in memory: q, k, v.
  constexpr std::pair<const char*, int64_t> kParts[] = {
      {"k_proj", 1}, {"v_proj", 2}, {"q_proj", 0}};
  for (const auto& [part, place] : kParts) {
    for (size_t i = 0; i < experts.size(); ++i) {
      const std::string name = std::string(part) + "." + experts.prefix(i);
      const int64_t width = qkv_weight[i].size(1);
      v.rows(name + "weight", qkv_weight[i], place * width, (place + 1) * width);
      v.rows(name + "bias", qkv_bias[i], place * width, (place + 1) * width);
    }
  }
  v("out_proj", out_proj);
  v("inner_attn_ln", inner_attn_ln);
}

MultiwayFeedForward::MultiwayFeedForward(const ModelConfig& c, int64_t layer,
                                         const nn::ParameterOptions& options)
    : experts(feed_forward_experts(c, layer)) {
  for (size_t i = 0; i < experts.size(); ++i) {
    fc1_weight.push_back(nn::zero_parameter({c.ffn, c.width}, options));
    fc1_bias.push_back(nn::zero_parameter({c.ffn}, options));
    fc2_weight.push_back(nn::zero_parameter({c.width, c.ffn}, options));
    fc2_bias.push_back(nn::zero_parameter({c.width}, options));
    if (c.form == Form::paper) continue;
    norm_weight.push_back(nn::one_parameter({c.ffn}, options));
    norm_bias.push_back(nn::zero_parameter({c.ffn}, options));
  }
}

Tensor MultiwayFeedForward::operator()(const Tensor& x, const Routes& routes, double eps) const {
  const RowGroups& groups = routes[experts.routing];
  const Tensor z = grouped_linear(x, groups, fc1_weight, fc1_bias);
  const Tensor inner =
      norm_weight.empty() ? gelu(z) : gelu_layer_norm(z, groups, norm_weight, norm_bias, eps);
  return grouped_linear(inner, groups, fc2_weight, fc2_bias);
}

void MultiwayFeedForward::fields(nn::FieldVisitor& v) {
  for (size_t i = 0; i < experts.size(); ++i) {
    const std::string expert = experts.prefix(i);
    v(expert + "fc1.weight", fc1_weight[i]);
    v(expert + "fc1.bias", fc1_bias[i]);
    v(expert + "fc2.weight", fc2_weight[i]);
    v(expert + "fc2.bias", fc2_bias[i]);
    if (norm_weight.empty()) continue;
    v(expert + "ffn_layernorm.weight", norm_weight[i]);
    v(expert + "ffn_layernorm.bias", norm_bias[i]);
  }
}

EncoderLayer::EncoderLayer(const ModelConfig& c, int64_t layer, const nn::ParameterOptions& options)
    : self_attn(c, options),
      self_attn_layer_norm(c.width, attention_experts(c), options),
      ffn(c, layer, options),
      final_layer_norm(c.width, feed_forward_experts(c, layer), options) {}

Stream EncoderLayer::operator()(const Stream& in, const PackedLayout& layout,
                                const ModelConfig& config, const Tensor& attention_scale,
                                const std::vector<int64_t>* keep, EncoderTrace* trace) const {
  const Routes& all = layout.routes();
  SumAndNorm first = settle(in, all, self_attn_layer_norm, config.norm_eps);
  const Tensor qkv = reshape(grouped_linear(first.norm, all[self_attn.experts.routing],
                                            self_attn.qkv_weight, self_attn.qkv_bias),
                             {layout.rows(), 3, config.heads, config.head_size()});
  Tensor context =
      reshape(segmented_attention(qkv, layout.segments()), {layout.rows(), config.width});
  Routes routes = all;
  Tensor scale = attention_scale;
  if (keep != nullptr) {
    const Tensor index = from_data(*keep, {static_cast<int64_t>(keep->size())}, context.device());
    context = chosen_rows(context, index);
    first.sum = chosen_rows(first.sum, index);
    scale = chosen_rows(scale, index);
    routes = all.of(*keep);
  }
  if (self_attn.inner_attn_ln) {
    context = (*self_attn.inner_attn_ln)(context, routes, config.norm_eps);
  }
  const Tensor out = self_attn.out_proj(context, routes);
  if (trace != nullptr) trace->attention.push_back(out);
  const SumAndNorm second =
      settle({first.sum, out, scale}, routes, final_layer_norm, config.norm_eps);
  const Stream result{second.sum, ffn(second.norm, routes, config.norm_eps), {}};
  if (trace != nullptr) trace->hidden.push_back(result.h + result.delta);
  return result;
}

void EncoderLayer::fields(nn::FieldVisitor& v) {
  v("self_attn", self_attn);
  v("self_attn_layer_norm", self_attn_layer_norm);
  v("ffn", ffn);
  v("final_layer_norm", final_layer_norm);
}

Encoder::Encoder(const ModelConfig& c, const nn::ParameterOptions& options)
    : embed_positions{nn::zero_parameter({c.image_rows() + kFirstPosition, c.width}, options),
                      nn::zero_parameter({c.text_positions, c.width}, options)} {
  for (int64_t i = 0; i < c.layers; ++i) layers.emplace_back(c, i, options);
  if (c.normalize_output) layer_norm.emplace(c.width, attention_experts(c), options);
}

void Encoder::fields(nn::FieldVisitor& v) {
  v("embed_positions.A.weight", embed_positions[0]);
  v("embed_positions.B.weight", embed_positions[1]);
  v("layers", layers);
  v("layer_norm", layer_norm);
}

}  // namespace tessera::beit3
