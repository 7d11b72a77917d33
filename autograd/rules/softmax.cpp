#include "tensor/ops/softmax.h"

#include "autograd/rule_table.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/reduce.h"

namespace tessera {

void add_softmax_rules(RuleTable& table) {
  // dx = y (g - sum(g y)): a formula in the output, which is a function of x again, so it is exact
  // at every order and needs less memory than the composition.
  table.add_fused<Softmax>(
      Save::output,
      [](const Softmax&, Saved& s, Tensor& g) -> std::optional<Tensors> {
        Tensor dx = kernels::softmax_backward(g, s.output());
        if (!dx.defined()) return std::nullopt;
        return Tensors{std::move(dx)};
      },
      [](const Softmax&, Saved& s, Tensor g) {
        const Tensor y = s.output();
        return Tensors{y * (g - sum(g * y, {-1}, KeepDims::yes))};
      });
}

}  // namespace tessera
