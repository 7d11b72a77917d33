#pragma once

#include <initializer_list>
#include <memory>
#include <string_view>
#include <typeindex>

#include "tensor/tensor.h"

namespace tessera {

/// What was done, with its parameters. Derived types are plain data, one per op.
struct Op {
  virtual ~Op() = default;
  virtual std::string_view name() const = 0;
};

/// What an op leaves behind when a derivative may be wanted.
struct OpRecord {
  std::shared_ptr<const Op> op;
  std::type_index type;  ///< the op's dynamic type: key of its rule
  Tensors inputs;        ///< autograd/ keeps only what the rule asks to save
  Tensors outputs;       ///< usually one; residual + norm has two
  Tensors statistics;    ///< by-products of a fused kernel: constants
};

/// What a tensor carries when derivatives are wanted. Only autograd/ derives from it, so a tracked
/// tensor can only exist if autograd/ made it: no hook, no registration, no include upwards.
class AutogradMeta {
 public:
  virtual ~AutogradMeta() = default;
  /// Attaches the outputs to the graph, unless recording is switched off.
  virtual void record(OpRecord record) = 0;
  virtual Tensor grad() const = 0;
  /// True for a tensor that was made, not computed: it may be changed in place.
  virtual bool is_leaf() const = 0;
};

namespace detail {
void record_with_first_tracked(OpRecord record);
}

/// Leaves a record if any input is tracked; costs a few null checks otherwise.
/// `inputs` may hold undefined tensors (absent optional inputs).
template <class O>
void record(O op, std::span<const Tensor> inputs, std::span<const Tensor> outputs,
            std::span<const Tensor> statistics = {}) {
  for (const Tensor& input : inputs) {
    if (!input.defined() || !input.tracked()) continue;
    detail::record_with_first_tracked(
        {std::make_shared<const O>(std::move(op)), typeid(O), Tensors(inputs.begin(), inputs.end()),
         Tensors(outputs.begin(), outputs.end()), Tensors(statistics.begin(), statistics.end())});
    return;
  }
}
template <class O>
void record(O op, std::initializer_list<Tensor> inputs, std::initializer_list<Tensor> outputs,
            std::initializer_list<Tensor> statistics = {}) {
  record(std::move(op), std::span(inputs.begin(), inputs.size()),
         std::span(outputs.begin(), outputs.size()),
         std::span(statistics.begin(), statistics.size()));
}

}  // namespace tessera
