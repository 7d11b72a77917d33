#pragma once

#include <functional>

#include "autograd/grad_mode.h"
#include "tensor/tensor.h"

namespace tessera {

/// Makes a leaf: x's elements, with `backward` adding to its `grad()`. Returns x's own handle if x
/// is not tracked, or already a leaf. Throws StateError for the result of a recorded op (detach it
/// first), DTypeError if x is not floating.
Tensor requires_grad(const Tensor& x);

/// Drops the gradient of a leaf; nothing is filled.
void zero_grad(const Tensor& leaf);

struct BackwardOptions {
  Tensor gradient = {};       ///< dL/dy; undefined means 1 and asks for a y of one element
  bool retain_graph = false;  ///< keep what was saved, for another walk over the same graph
  /// Record the walk itself (implies retain_graph). The gradients of leaves then hold the graph,
  /// and it them, until `zero_grad`; `grad` has no such knot.
  bool create_graph = false;
  /// Called on this thread for every leaf that got a gradient, by its `Tensor::meta()`, as soon as
  /// the gradient is whole and nothing on the way reads the leaf again: it may be changed in place
  /// then, and its gradient dropped. Not with create_graph.
  std::function<void(const AutogradMeta&)> when_whole = {};
};

/// Adds the derivative of y to the `grad()` of every leaf that y depends on.
///
/// Gradients meet in recording order, so the bits do not depend on threads. What the graph saved
/// is freed as it is used. If something throws on the way, gradients are undefined until
/// `zero_grad`; nothing else changed. Throws StateError if y is not tracked, or if a saved tensor
/// was changed in place (naming who saved and who changed it).
void backward(const Tensor& y, const BackwardOptions& options = {});

struct GradOptions {
  Tensors gradients = {};  ///< dL/dy of each y; empty means 1 each
  bool retain_graph = false;
  bool create_graph = false;  ///< the results are recorded: they can be differentiated again
};

/// The derivatives of the sum of `ys` by each of `xs`, leaves or results of ops. Touches no
/// `grad()`. A zero tensor where y does not depend on x.
Tensors grad(std::span<const Tensor> ys, std::span<const Tensor> xs,
             const GradOptions& options = {});
inline Tensors grad(const Tensor& y, std::initializer_list<Tensor> xs,
                    const GradOptions& options = {}) {
  return grad(std::span(&y, 1), std::span(xs.begin(), xs.size()), options);
}
inline Tensors grad(const Tensor& y, const Tensors& xs, const GradOptions& options = {}) {
  return grad(std::span(&y, 1), std::span<const Tensor>(xs), options);
}

using TensorFunction = std::function<Tensors(const Tensors&)>;

/// Vector-Jacobian product: runs `f` on aliases of `inputs` and returns, for gradients `g` of its
/// results, the *partial* derivative by each input: an input that depends on another counts only
/// where f itself uses it. `wanted` (empty: all) says which are computed; the others are undefined.
/// Recorded, and differentiable again, if recording is on.
Tensors vjp(const TensorFunction& f, const Tensors& inputs, const Tensors& g,
            const std::vector<bool>& wanted = {});

/// Runs `f` without keeping what its ops save: the walk runs it again. Same bits, less memory.
/// Inputs and the leaves that `f` reads get their gradients as usual. `f` must do the same both
/// times.
/// Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174.
Tensors checkpoint(const TensorFunction& f, const Tensors& inputs);

}  // namespace tessera
