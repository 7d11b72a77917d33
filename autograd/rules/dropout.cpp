#include "tensor/ops/dropout.h"

#include "autograd/rule_table.h"

namespace tessera {

void add_dropout_rules(RuleTable& table) {
  // Linear in x, with a mask that its key draws again: the rule is the op itself.
  table.add<Dropout>(Save::none, [](const Dropout& op, Saved&, Tensor g) {
    return Tensors{dropout(g, op.p, op.key)};
  });
}

}  // namespace tessera
