#include "tensor/ops/attention.h"

#include "autograd/rule_table.h"

namespace tessera {

void add_attention_rules(RuleTable& table) {
  table.add_fused<SegmentedAttention>(
      Save::both,
      [](const SegmentedAttention& op, Saved& s, Tensor& g) -> std::optional<Tensors> {
        Tensor dqkv =
            kernels::segmented_attention_backward(g, s.input(0), s.output(), s.statistic(0), op);
        if (!dqkv.defined()) return std::nullopt;
        return Tensors{std::move(dqkv)};
      },
      vjp_of<SegmentedAttention>([](const SegmentedAttention& op, const Tensors& in) {
        return composed::segmented_attention(in[0], op.segments, op.rule, op.scale);
      }));
}

}  // namespace tessera
