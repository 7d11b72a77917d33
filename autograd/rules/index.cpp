#include "tensor/ops/index.h"

#include "autograd/rule_table.h"

namespace tessera {

void add_index_rules(RuleTable& table) {
  table.add<IndexSelect>(Save::none, [](const IndexSelect& op, Saved& s, Tensor g) {
    if (op.axis == 0) {
      // A table of embeddings: only the rows that were looked up are touched.
      if (const kernels::Sink sink = s.sink(0); sink.into.defined()) {
        index_add_(sink.into, op.index, g);
        return Tensors(1);
      }
    }
    return Tensors{index_sum(g, op.index, op.from, op.axis)};
  });
  table.add<IndexSum>(Save::none, [](const IndexSum& op, Saved&, Tensor g) {
    return Tensors{index_select(g, op.select.index, op.select.axis)};
  });
  table.add<Gather>(Save::none, [](const Gather& op, Saved&, Tensor g) {
    return Tensors{scatter_sum(g, op.index, op.from, op.axis)};
  });
  table.add<ScatterSum>(Save::none, [](const ScatterSum& op, Saved&, Tensor g) {
    return Tensors{gather(g, op.gather.index, op.gather.axis)};
  });
}

}  // namespace tessera
