#include "autograd/rule_table.h"

namespace tessera {

RuleTable& RuleTable::instance() {
  static RuleTable table;
  return table;
}

RuleTable::RuleTable() {
  add_elementwise_rules(*this);
  add_reduce_rules(*this);
  add_shape_rules(*this);
  add_cast_rules(*this);
  add_index_rules(*this);
  add_matmul_rules(*this);
  add_softmax_rules(*this);
  add_layer_norm_rules(*this);
  add_gelu_layer_norm_rules(*this);
  add_attention_rules(*this);
  add_cross_entropy_rules(*this);
  add_dropout_rules(*this);
  add_checkpoint_rules(*this);
  add_custom_op_rules(*this);
}

void RuleTable::add_rule(std::type_index type, Rule rule) {
  const bool fresh = rules_.emplace(type, std::move(rule)).second;
  check<InternalError>(fresh, "rule table: {} has two rules", type.name());
}

const Rule& RuleTable::find(std::type_index type, const Op& op) const {
  const auto found = rules_.find(type);
  check<StateError>(found != rules_.end(),
                    "{}: has no derivative rule; add one in autograd/rules/, or detach its inputs",
                    op.name());
  return found->second;
}

}  // namespace tessera
