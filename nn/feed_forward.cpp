#include "nn/feed_forward.h"

#include "tensor/ops/elementwise.h"
#include "tensor/ops/gelu_layer_norm.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::nn {

FeedForward::FeedForward(int64_t width, int64_t hidden, RandomKey key,
                         const FeedForwardOptions& options)
    : fc1(width, hidden, key.fold(0), {.tensor = options.tensor}),
      fc2(hidden, width, key.fold(1), {.tensor = options.tensor}) {
  if (options.sub_layer_norm) {
    ffn_layernorm.emplace(hidden, LayerNormOptions{.eps = options.eps, .tensor = options.tensor});
  }
}

Tensor FeedForward::operator()(const Tensor& x) const {
  const Tensor h = fc1(x);
  if (!ffn_layernorm) return fc2(gelu(h));
  // The fused op takes a matrix.
  const Tensor rows = reshape(h, {h.numel() / h.size(-1), h.size(-1)});
  const Tensor normed =
      gelu_layer_norm(rows, {{rows.size(0)}}, std::span(&ffn_layernorm->weight, 1),
                      std::span(&ffn_layernorm->bias, 1), ffn_layernorm->eps);
  return fc2(reshape(normed, h.shape()));
}

void FeedForward::fields(FieldVisitor& v) {
  v("fc1", fc1);
  v("fc2", fc2);
  v("ffn_layernorm", ffn_layernorm);
}

}  // namespace tessera::nn
