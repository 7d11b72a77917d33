#pragma once

#include "nn/linear.h"
#include "tensor/ops/attention.h"

namespace tessera::nn {

/// Which of queries, keys and values have a bias. A bias of the keys shifts all scores of a query
/// alike, which softmax ignores; the BEiT family leaves it out.
enum class QkvBias { none, query_value, all };

/// Under which names files know the one (3C, C) projection.
enum class QkvNames {
  fused,  ///< qkv.weight, qkv.bias or q_bias and v_bias, proj.*
  split,  ///< k_proj.*, v_proj.*, q_proj.*, out_proj.*: row slices
};

struct SelfAttentionOptions {
  QkvBias bias = QkvBias::all;
  QkvNames names = QkvNames::fused;
  TensorOptions tensor = {};
};

/// Multi-head self-attention over packed rows.
///
///   y = softmax(q k^T / sqrt(D)) v of each head, inside each segment; then the output projection
///
/// Queries, keys and values are one product: rows 0 … C-1 of the weight make the queries, the next
/// C the keys, the last C the values.
/// Source: Vaswani et al., arXiv:1706.03762, section 3.2.
struct SelfAttention : Module {
  int64_t heads;
  QkvNames names;
  Tensor qkv_weight;      // (3C, C)
  Tensor qkv_bias;        // (3C); undefined unless QkvBias::all
  Tensor q_bias, v_bias;  // (C); undefined unless QkvBias::query_value
  Linear out;

  /// `width` must be a multiple of `heads`; ValueError otherwise.
  SelfAttention(int64_t width, int64_t heads, RandomKey key,
                const SelfAttentionOptions& options = {});

  /// x (N, C) -> (N, C); the segments say which rows see each other.
  Tensor operator()(const Tensor& x, const Segments& segments,
                    AttentionRule rule = AttentionRule::full) const;
  /// Before the output projection: (N, C).
  Tensor attend(const Tensor& x, const Segments& segments,
                AttentionRule rule = AttentionRule::full) const;
  /// All biases of the projection as one (3C), zero where there is none; undefined for none at all.
  Tensor packed_bias() const;
  void fields(FieldVisitor& v) override;
  std::string describe() const override;
};

}  // namespace tessera::nn
