#include "autograd/custom_op.h"

#include <memory>

#include "autograd/rule_table.h"

namespace tessera {
namespace {

struct Custom final : Op {
  std::shared_ptr<const CustomOp> op;
  explicit Custom(std::shared_ptr<const CustomOp> o) : op(std::move(o)) {}
  std::string_view name() const override { return op->name; }
};

}  // namespace

Tensors apply(const CustomOp& op, const Tensors& inputs) {
  Tensors outputs;
  {
    const NoGrad silent;
    outputs = op.forward(inputs);
  }
  for (Tensor& y : outputs) {
    for (const Tensor& x : inputs) {
      if (y.is(x)) y = alias_of(y);  // an output that is an input would lose the input's history
    }
  }
  record(Custom(std::make_shared<const CustomOp>(op)), std::span<const Tensor>(inputs),
         std::span<const Tensor>(outputs));
  return outputs;
}

void add_custom_op_rules(RuleTable& table) {
  table.add<Custom>(Save::both, [](const Custom& op, Saved& s, Tensors g) {
    Tensors outputs;
    for (size_t i = 0; i < g.size(); ++i) outputs.push_back(s.output(i));
    Tensors results = op.op->rule(s.inputs(), outputs, g);
    check<StateError>(results.size() == s.input_count(),
                      "{}: its rule returned {} gradients for {} inputs", op.name(), results.size(),
                      s.input_count());
    return results;
  });
}

}  // namespace tessera
