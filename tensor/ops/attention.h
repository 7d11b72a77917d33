#pragma once

#include "tensor/record.h"

namespace tessera {

/// An immutable table of sequences, shared by all layers that use it.
class Segments {
 public:
  Segments() = default;
  /// The segments must cover rows 0 … rows-1, each exactly once; ShapeError otherwise.
  Segments(std::vector<Segment> segments, int64_t rows);
  /// `count` sequences of `length` rows, one after another.
  static Segments uniform(int64_t count, int64_t length);

  std::span<const Segment> list() const { return *list_; }
  int64_t rows() const { return rows_; }

 private:
  std::shared_ptr<const std::vector<Segment>> list_ =
      std::make_shared<const std::vector<Segment>>();
  int64_t rows_ = 0;
};

/// statistics: log-sum-exp (N, H)
struct SegmentedAttention final : Op {
  Segments segments;
  AttentionRule rule;
  double scale;
  SegmentedAttention(Segments s, AttentionRule r, double c)
      : segments(std::move(s)), rule(r), scale(c) {}
  std::string_view name() const override { return "segmented_attention"; }
};

/// Attention inside each segment: y = softmax(scale q k^T) v, a head at a time.
///
/// qkv      (N, 3, H, D)  queries, keys and values of all rows, in one product
/// rule     full, or prefix (captioning): see AttentionRule
/// scale    of the scores; 0 means 1 / sqrt(D)
/// returns  (N, H, D)
/// Source: Vaswani et al., arXiv:1706.03762, eq. 1.
Tensor segmented_attention(const Tensor& qkv, const Segments& segments,
                           AttentionRule rule = AttentionRule::full, double scale = 0);

namespace composed {
/// Per segment: index_select, masked softmax, and back.
Tensor segmented_attention(const Tensor& qkv, const Segments& segments, AttentionRule rule,
                           double scale);
}  // namespace composed
namespace kernels {
/// Undefined if the backend declines.
Tensor segmented_attention_backward(const Tensor& g, const Tensor& qkv, const Tensor& y,
                                    const Tensor& lse, const SegmentedAttention& op);
}  // namespace kernels

}  // namespace tessera
