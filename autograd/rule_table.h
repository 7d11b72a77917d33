#pragma once

#include <functional>
#include <optional>
#include <typeindex>
#include <unordered_map>

#include "autograd/autograd.h"
#include "autograd/saved.h"

namespace tessera {

/// For each input of a record: does anybody want its gradient?
using Wanted = std::vector<char>;

/// What a node keeps: bit i stands for input or output i. (Inputs beyond 63 are kept if bit 63 is.)
struct SavePlan {
  uint64_t inputs = 0, outputs = 0;
  /// Inputs whose gradients cost so much that making such an input again, by an op that can
  /// (`RuleTable::can_remake`), is not worth the memory of keeping it.
  uint64_t remade = 0;

  bool input(size_t i) const { return inputs >> (i < 63 ? i : 63) & 1; }
  bool remade_input(size_t i) const { return i < 63 && (remade >> i & 1); }
  bool output(size_t i) const { return outputs >> (i < 63 ? i : 63) & 1; }
};

/// Decides what to keep, knowing which gradients are wanted.
using Plan = std::function<SavePlan(const Wanted&, size_t outputs)>;

/// The usual plans.
namespace Save {
inline SavePlan none(const Wanted&, size_t) { return {}; }
inline SavePlan inputs(const Wanted&, size_t) { return {~0ull, 0}; }
inline SavePlan output(const Wanted&, size_t) { return {0, ~0ull}; }
inline SavePlan both(const Wanted&, size_t) { return {~0ull, ~0ull}; }
/// Of two factors, each is needed for the other's gradient alone.
inline SavePlan factors(const Wanted& wanted, size_t) {
  return {(wanted[1] ? 1ull : 0) | (wanted[0] ? 2ull : 0), 0};
}
}  // namespace Save

/// Gradients of the inputs from those of the outputs (undefined: that output was not used). A
/// result may be undefined where nobody wants it, where it is zero, or where it went into a sink.
/// In place of 16-bit tensors, gradients and saved ones, a rule sees f32.
using RuleFunction = std::function<Tensors(const Op&, Saved&, Tensors)>;
/// The same by a kernel; nothing if the backend declined.
/// It may overwrite a gradient that is `reusable`.
using FastRuleFunction = std::function<std::optional<Tensors>(const Op&, Saved&, Tensors&)>;

/// An output again, from what the rule saved: the same bits, without history.
using RemakeFunction = std::function<Tensor(const Op&, Saved&)>;

struct Rule {
  Plan plan;
  RuleFunction exact;     ///< a formula in ordinary ops: right at every order
  FastRuleFunction fast;  ///< called only when nobody will differentiate the result; may be empty
  RemakeFunction remake = {};  ///< may be empty
  int remade_output = 0;
};

/// Record type -> rule. Built on first use.
class RuleTable {
 public:
  static RuleTable& instance();

  /// A rule of ordinary ops. `f(op, saved, g)` for one output (`Tensor g`), or `Tensors g`.
  template <class O, class F>
  void add(Plan plan, F f) {
    add_rule(typeid(O), {std::move(plan), exact_half<O>(std::move(f)), nullptr});
  }

  /// A fused op: a kernel for the common case, and what is exact at every order. Both are needed,
  /// so a fast path that quietly cuts the graph cannot be written.
  template <class O, class Fast, class Exact>
  void add_fused(Plan plan, Fast fast, Exact exact) {
    add_rule(typeid(O),
             {std::move(plan), exact_half<O>(std::move(exact)), fast_half<O>(std::move(fast))});
  }

  /// `f(op, saved)` makes output `output` again, in little more than a pass over memory. Whoever
  /// says so in its plan then keeps nothing of that output. Its rule has to be there already.
  template <class O, class F>
  void can_remake(int output, F f) {
    Rule& rule = rules_.at(typeid(O));
    rule.remade_output = output;
    rule.remake = [f = std::move(f)](const Op& op, Saved& s) {
      return f(static_cast<const O&>(op), s);
    };
  }

  /// Throws StateError, naming the op, if it has none.
  const Rule& find(std::type_index type, const Op& op) const;
  bool contains(std::type_index type) const { return rules_.contains(type); }
  size_t size() const { return rules_.size(); }

 private:
  RuleTable();
  void add_rule(std::type_index type, Rule rule);

  template <class O, class F>
  static RuleFunction exact_half(F f) {
    return [f = std::move(f)](const Op& op, Saved& s, Tensors g) -> Tensors {
      const O& typed = static_cast<const O&>(op);
      if constexpr (std::is_invocable_v<F, const O&, Saved&, Tensors>) {
        return f(typed, s, std::move(g));
      } else {
        return f(typed, s, std::move(g[0]));
      }
    };
  }
  template <class O, class F>
  static FastRuleFunction fast_half(F f) {
    return [f = std::move(f)](const Op& op, Saved& s, Tensors& g) -> std::optional<Tensors> {
      const O& typed = static_cast<const O&>(op);
      if constexpr (std::is_invocable_v<F, const O&, Saved&, Tensors&>) {
        return f(typed, s, g);
      } else {
        return f(typed, s, g[0]);
      }
    };
  }

  std::unordered_map<std::type_index, Rule> rules_;
};

/// An exact half: the derivative of the composition `f(op, inputs)`, run on aliases of the saved
/// inputs. `f` returns a Tensor or Tensors.
template <class O, class F>
auto vjp_of(F f) {
  return [f = std::move(f)](const O& op, Saved& s, Tensors g) {
    const Tensors inputs = s.inputs();
    std::vector<bool> wanted;
    for (size_t i = 0; i < inputs.size(); ++i) wanted.push_back(s.needs(i));
    return vjp([&](const Tensors& in) -> Tensors { return {f(op, in)}; }, inputs, g, wanted);
  };
}

// One function a file of rules/.
void add_elementwise_rules(RuleTable& table);
void add_reduce_rules(RuleTable& table);
void add_shape_rules(RuleTable& table);
void add_cast_rules(RuleTable& table);
void add_index_rules(RuleTable& table);
void add_matmul_rules(RuleTable& table);
void add_softmax_rules(RuleTable& table);
void add_layer_norm_rules(RuleTable& table);
void add_gelu_layer_norm_rules(RuleTable& table);
void add_attention_rules(RuleTable& table);
void add_cross_entropy_rules(RuleTable& table);
void add_dropout_rules(RuleTable& table);
void add_checkpoint_rules(RuleTable& table);
void add_custom_op_rules(RuleTable& table);

}  // namespace tessera
