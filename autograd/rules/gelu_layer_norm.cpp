#include "tensor/ops/gelu_layer_norm.h"

#include "autograd/rule_table.h"
#include "autograd/rules/norm_internal.h"

namespace tessera {

void add_gelu_layer_norm_rules(RuleTable& table) {
  table.add_fused<GeluLayerNorm>(
      Save::inputs,
      [](const GeluLayerNorm& op, Saved& s, Tensor& g) -> std::optional<Tensors> {
        const size_t n = op.groups.size();
        kernels::NormGrad grad = kernels::gelu_layer_norm_backward(
            g, s.input_as_kept(0), op.groups, detail::saved_range(s, 1, n), s.statistic(0),
            s.statistic(1), s.sinks(1, n), s.sinks(1 + n, n));
        const Tensor dx = grad.dx;
        return detail::norm_results({dx}, std::move(grad));
      },
      vjp_of<GeluLayerNorm>([](const GeluLayerNorm& op, const Tensors& in) {
        const size_t n = op.groups.size();
        const auto parameters = std::span(in).subspan(1);
        return composed::gelu_layer_norm(in[0], op.groups, parameters.first(n), parameters.last(n),
                                         op.eps);
      }));
  table.can_remake<GeluLayerNorm>(0, [](const GeluLayerNorm& op, Saved& s) {
    const size_t n = op.groups.size();
    return gelu_layer_norm(s.input_as_kept(0), op.groups, detail::saved_range(s, 1, n),
                           detail::saved_range(s, 1 + n, n), op.eps);
  });
}

}  // namespace tessera
