#include "tensor/ops/cast.h"

#include "autograd/rule_table.h"

namespace tessera {

void add_cast_rules(RuleTable& table) {
  // The engine gives gradients their dtype.
  table.add<Cast>(Save::none, [](const Cast&, Saved&, Tensor g) { return Tensors{g}; });
  table.add<Move>(Save::none,
                  [](const Move& op, Saved&, Tensor g) { return Tensors{g.to(op.from)}; });
  table.add<Clone>(Save::none, [](const Clone&, Saved&, Tensor g) { return Tensors{g}; });
}

}  // namespace tessera
