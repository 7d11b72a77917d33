#include "tensor/ops/reduce.h"

#include "autograd/rule_table.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/shape_ops.h"

namespace tessera {
namespace {

/// `shape` with size 1 on the reduced axes.
Shape kept_shape(Shape shape, const Axes& axes) {
  for (int64_t axis : axes) shape[static_cast<int>(axis)] = 1;
  return shape;
}

}  // namespace

void add_reduce_rules(RuleTable& table) {
  table.add<Sum>(Save::none, [](const Sum& op, Saved& s, Tensor g) {
    const Shape& shape = s.input_info(0).shape;
    return Tensors{expand(reshape(g, kept_shape(shape, op.axes)), shape)};
  });

  // Among equal extreme elements the gradient is shared evenly: the mean of what picking any one of
  // them would give. Who they are, and how many, is locally constant.
  table.add<Extremum>(Save::both, [](const Extremum& op, Saved& s, Tensor g) {
    const Tensor x = s.input(0);
    const Shape kept = kept_shape(x.shape(), op.axes);
    const Tensor chosen = equal(x.detach(), reshape(s.output().detach(), kept)).to(g.dtype());
    const Tensor share = reshape(g, kept) / sum(chosen, op.axes, KeepDims::yes);
    return Tensors{share * chosen};
  });
}

}  // namespace tessera
