#include "tensor/ops/index.h"

#include "autograd/rule_table.h"

namespace tessera {
namespace {

/// The index is kept, x is not.
SavePlan index_alone(const Wanted&, size_t) { return {0b10, 0}; }

}  // namespace

void add_index_rules(RuleTable& table) {
  table.add<IndexSelect>(index_alone, [](const IndexSelect& op, Saved& s, Tensor g) {
    const Tensor index = s.input(1);
    if (op.axis == 0) {
      // A table of embeddings: only the rows that were looked up are touched.
      if (const kernels::Sink sink = s.sink(0); sink.into.defined()) {
        index_add_(sink.into, index, g);
        return Tensors(2);
      }
    }
    return Tensors{index_sum(g, index, op.from, op.axis), {}};
  });
  table.add<IndexSum>(index_alone, [](const IndexSum& op, Saved& s, Tensor g) {
    return Tensors{index_select(g, s.input(1), op.select.axis), {}};
  });
  table.add<Gather>(index_alone, [](const Gather& op, Saved& s, Tensor g) {
    return Tensors{scatter_sum(g, s.input(1), op.from, op.axis), {}};
  });
  table.add<ScatterSum>(index_alone, [](const ScatterSum& op, Saved& s, Tensor g) {
    return Tensors{gather(g, s.input(1), op.gather.axis), {}};
  });
}

}  // namespace tessera
