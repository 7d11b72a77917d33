#pragma once

#include <functional>
#include <string>

#include "autograd/autograd.h"

namespace tessera {

/// An op of your own, outside this library: see examples/new_op/.
struct CustomOp {
  std::string name;
  /// Computes the outputs. Nothing that it does is recorded.
  std::function<Tensors(const Tensors& inputs)> forward;
  /// The gradients of the inputs (undefined: none) from those of the outputs (undefined: unused),
  /// as a formula in ordinary ops: it is recorded in turn when higher derivatives are wanted.
  std::function<Tensors(const Tensors& inputs, const Tensors& outputs, const Tensors& gradients)>
      rule;
};

/// Runs `op.forward` and leaves a record whose rule is `op.rule`.
Tensors apply(const CustomOp& op, const Tensors& inputs);

}  // namespace tessera
