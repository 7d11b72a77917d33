#include "tensor/ops/shape_ops.h"

#include "autograd/rule_table.h"

namespace tessera {

void add_shape_rules(RuleTable& table) {
  table.add<Reshape>(
      Save::none, [](const Reshape& op, Saved&, Tensor g) { return Tensors{reshape(g, op.from)}; });
  table.add<Permute>(Save::none, [](const Permute& op, Saved&, Tensor g) {
    Axes inverse = op.axes;
    for (int i = 0; i < op.axes.rank(); ++i) inverse[static_cast<int>(op.axes[i])] = i;
    return Tensors{permute(g, inverse)};
  });
  // The engine sums over what was broadcast.
  table.add<Expand>(Save::none, [](const Expand&, Saved&, Tensor g) { return Tensors{g}; });
  table.add<Slice>(Save::none,
                   [](const Slice& op, Saved&, Tensor g) { return Tensors{unslice(g, op)}; });
  table.add<Unslice>(Save::none, [](const Unslice& op, Saved&, Tensor g) {
    const Slice& s = op.slice;
    return Tensors{slice(g, s.axis, s.begin, s.end, s.step)};
  });
  table.add<Concat>(Save::none, [](const Concat& op, Saved& s, Tensor g) {
    Tensors results(op.sizes.size());
    int64_t begin = 0;
    for (size_t i = 0; i < results.size(); ++i) {
      const int64_t end = begin + op.sizes[i];
      if (s.needs(i)) results[i] = slice(g, op.axis, begin, end);
      begin = end;
    }
    return results;
  });
}

}  // namespace tessera
