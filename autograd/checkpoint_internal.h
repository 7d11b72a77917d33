#pragma once

#include "autograd/autograd.h"
#include "tensor/record.h"

namespace tessera {

/// The identity, recorded: a name of its own for a tensor.
struct Alias final : Op {
  std::string_view name() const override { return "alias"; }
};

/// A function that is run again when its derivative is wanted. The record's inputs are the
/// function's own, then stand-ins of the leaves that it reads.
struct Checkpoint final : Op {
  TensorFunction function;
  size_t inputs;
  Checkpoint(TensorFunction f, size_t n) : function(std::move(f)), inputs(n) {}
  std::string_view name() const override { return "checkpoint"; }
};

}  // namespace tessera
