#pragma once

#include "autograd/node_internal.h"
#include "tensor/ops/matmul.h"

namespace tessera {

/// What a rule may look at. Belongs to one call of one rule. Rules compute in f32 or f64: what was
/// kept as 16 bits is converted.
class Saved {
 public:
  enum class Half { fast, exact };

  Saved(Node& node, Half half, bool sinks_allowed)
      : node_(node), half_(half), sinks_allowed_(sinks_allowed) {}

  size_t input_count() const { return node_.edges.size(); }
  /// Input i as it was, with its history. InternalError if the rule's plan did not save it. One
  /// that is `remade` is computed by every call.
  Tensor input(size_t i) const;
  /// All inputs; undefined where absent or not saved.
  Tensors inputs() const;
  /// As they were kept, 16 bits and handles of leaves too: for kernels that take those, and to run
  /// a function on them again.
  Tensor input_as_kept(size_t i) const;
  Tensors inputs_as_kept() const;
  /// Output i, attached to its own node again: what depends on it depends on the inputs.
  Tensor output(size_t i = 0) const;
  Tensor output_as_kept(size_t i = 0) const;
  /// A by-product of the kernel. Only the fast half may ask: to differentiate it would be wrong.
  Tensor statistic(size_t i) const;
  /// Shape, dtype and device of input i, saved or not.
  const TensorInfo& input_info(size_t i) const { return node_.inputs[i]; }
  const TensorInfo& output_info(size_t i = 0) const { return node_.outputs[i]; }
  /// Does anybody want the gradient of input i?
  bool needs(size_t i) const { return node_.edges[i].wanted(); }
  /// Where the gradient of input i should go. `wanted` is needs(i). If `into` is defined, input i
  /// is a leaf with a gradient already: add to it, and return an undefined gradient for i.
  kernels::Sink sink(size_t i) const;
  /// sink(first), …, sink(first + count - 1)
  std::vector<kernels::Sink> sinks(size_t first, size_t count) const;

 private:
  void check_version(const SavedTensor& saved) const;
  Tensor remade_input(size_t i) const;

  Node& node_;
  Half half_;
  bool sinks_allowed_;
};

/// May the elements of g be overwritten by the rule that was handed it?
inline bool reusable(const Tensor& g) { return g.exclusive() && g.is_contiguous(); }

}  // namespace tessera
