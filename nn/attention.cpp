#include "nn/attention.h"

#include "nn/init.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::nn {

SelfAttention::SelfAttention(int64_t width, int64_t head_count, RandomKey key,
                             const SelfAttentionOptions& options)
    : heads(head_count),
      names(options.names),
      out(width, width, key.fold(2), {.tensor = options.tensor}) {
  check<ValueError>(heads > 0 && width % heads == 0,
                    "SelfAttention: width {} is not a multiple of {} heads", width, heads);
  qkv_weight =
      parameter(init::uniform_fan_in({3 * width, width}, key.fold(0), width, options.tensor));
  auto bias = [&](int64_t rows, uint64_t n) {
    return parameter(init::uniform_fan_in({rows}, key.fold(1).fold(n), width, options.tensor));
  };
  if (options.bias == QkvBias::all) qkv_bias = bias(3 * width, 0);
  if (options.bias == QkvBias::query_value) {
    q_bias = bias(width, 1);
    v_bias = bias(width, 2);
  }
}

Tensor SelfAttention::packed_bias() const {
  if (!q_bias.defined()) return qkv_bias;
  return concat({q_bias, zeros(q_bias.shape(), q_bias.options()), v_bias});
}

Tensor SelfAttention::attend(const Tensor& x, const Segments& segments, AttentionRule rule) const {
  const int64_t width = qkv_weight.size(1);
  check<ShapeError>(x.rank() == 2 && x.size(1) == width,
                    "SelfAttention: x is {}, but must be (N, {})", x.shape(), width);
  const Tensor qkv = linear(x, qkv_weight, packed_bias());
  const Tensor y =
      segmented_attention(reshape(qkv, {x.size(0), 3, heads, width / heads}), segments, rule);
  return reshape(y, x.shape());
}

Tensor SelfAttention::operator()(const Tensor& x, const Segments& segments,
                                 AttentionRule rule) const {
  return out(attend(x, segments, rule));
}

void SelfAttention::fields(FieldVisitor& v) {
  const int64_t width = qkv_weight.size(1);
  if (names == QkvNames::fused) {
    v("q_bias", q_bias);
    v("v_bias", v_bias);
    v("qkv.weight", qkv_weight);
    v("qkv.bias", qkv_bias);
    v("proj", out);
    return;
  }
  v.prefix("k_proj", [&] {
    v.rows("weight", qkv_weight, width, 2 * width);
    v.rows("bias", qkv_bias, width, 2 * width);
  });
  v.prefix("v_proj", [&] {
    v.rows("weight", qkv_weight, 2 * width, 3 * width);
    v.rows("bias", qkv_bias, 2 * width, 3 * width);
    v("bias", v_bias);
  });
  v.prefix("q_proj", [&] {
    v.rows("weight", qkv_weight, 0, width);
    v.rows("bias", qkv_bias, 0, width);
    v("bias", q_bias);
  });
  v("out_proj", out);
}

std::string SelfAttention::describe() const {
  return format("SelfAttention({}, {} heads)", qkv_weight.size(1), heads);
}

}  // namespace tessera::nn
