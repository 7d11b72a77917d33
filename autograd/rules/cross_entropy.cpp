#include "tensor/ops/cross_entropy.h"

#include "autograd/rule_table.h"

namespace tessera {

void add_cross_entropy_rules(RuleTable& table) {
  table.add_fused<CrossEntropy>(
      Save::inputs,
      [](const CrossEntropy& op, Saved& s, Tensor& g) -> std::optional<Tensors> {
        Tensor dlogits =
            kernels::cross_entropy_backward(g, s.input(0), s.input(1), s.statistic(0), op.options);
        if (!dlogits.defined()) return std::nullopt;
        return Tensors{std::move(dlogits), {}};
      },
      vjp_of<CrossEntropy>([](const CrossEntropy& op, const Tensors& in) {
        return composed::cross_entropy_rows(in[0], in[1], op.options);
      }));

  // All inputs are kept whatever is wanted: the logits are computed again from them.
  table.add_fused<LinearCrossEntropy>(
      Save::inputs,
      [](const LinearCrossEntropy& op, Saved& s, Tensor& g) -> std::optional<Tensors> {
        const Tensors in = s.inputs();
        kernels::LinearCrossEntropyGrad grad =
            kernels::linear_cross_entropy_backward(g, in[0], in[1], in[2], in[3], s.statistic(0),
                                                   op.options, s.needs(0), s.sink(1), s.sink(2));
        if (grad.declined) return std::nullopt;
        return Tensors{std::move(grad.dx), std::move(grad.dw), std::move(grad.db), {}};
      },
      vjp_of<LinearCrossEntropy>([](const LinearCrossEntropy& op, const Tensors& in) {
        return composed::linear_cross_entropy_rows(in[0], in[1], in[2], in[3], op.options);
      }));
}

}  // namespace tessera
