#pragma once

#include "autograd/autograd.h"
#include "autograd/node_internal.h"

namespace tessera {

struct WalkOptions {
  bool retain_graph = false;
  bool create_graph = false;
  /// The walk ends at the requested tensors: what they depend on is not visited through them.
  bool cut_at_targets = false;
  std::function<void(const AutogradMeta&)> when_whole = {};  ///< of BackwardOptions
};

/// Derivatives of `ys` (with gradients `gs`) by `targets`; undefined where ys do not depend on one.
/// Those by 16-bit targets are f32.
Tensors walk_to(std::span<const Tensor> ys, const Tensors& gs, std::span<const Edge> targets,
                const WalkOptions& options);

/// Adds the derivatives of `y` to all leaves.
void walk_to_leaves(const Tensor& y, const Tensor& g, const WalkOptions& options);

/// All nodes that `ys` depend on, in recording order.
std::vector<Node*> nodes_behind(std::span<const Tensor> ys);

}  // namespace tessera
