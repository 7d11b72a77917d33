#pragma once

#include <memory>
#include <vector>

#include "tensor/record.h"

namespace tessera {

struct Rule;
struct GradMeta;

/// Where the gradient of one input of a node goes: to an output of an earlier node, or to a leaf.
/// Both empty: nobody wants it.
struct Edge {
  std::shared_ptr<struct Node> node;
  int output = 0;
  std::shared_ptr<GradMeta> leaf;

  bool wanted() const { return node || leaf; }
};

/// A saved tensor, with the storage and the version it had.
struct SavedTensor {
  Tensor tensor;
  std::shared_ptr<Storage> storage;
  uint32_t version = 0;
  bool remade = false;  ///< nothing is kept: the node behind the input's edge makes it again
};

/// Shape, dtype and device of a tensor that is not kept.
struct TensorInfo {
  Shape shape;
  TensorOptions options;
};

/// One recorded op.
struct Node : std::enable_shared_from_this<Node> {
  ~Node();

  uint64_t number = 0;  ///< recording order: inputs have smaller ones
  std::shared_ptr<const Op> op;
  const Rule* rule = nullptr;
  std::vector<Edge> edges;         // one an input
  std::vector<TensorInfo> inputs;  // what their gradients must look like
  std::vector<TensorInfo> outputs;
  std::vector<SavedTensor> saved_inputs;   // undefined where the rule did not ask
  std::vector<SavedTensor> saved_outputs;  // without history; re-attached when handed out
  Tensors statistics;
  bool released = false;

  /// Frees what was saved, without recursion.
  void release();
};

/// The only class derived from AutogradMeta: a leaf, or an output of a node.
struct GradMeta final : AutogradMeta, std::enable_shared_from_this<GradMeta> {
  ~GradMeta() override;
  void record(OpRecord record) override;
  Tensor grad() const override { return gradient; }
  bool is_leaf() const override { return node == nullptr; }

  std::shared_ptr<Node> node;  // null for a leaf
  int output = 0;
  Tensor gradient;  // of a leaf
};

/// The meta of a tracked tensor, else null.
inline GradMeta* grad_meta(const Tensor& x) {
  return x.defined() ? static_cast<GradMeta*>(x.meta()) : nullptr;
}

/// StateError if an earlier walk freed what the node saved.
void check_not_released(const Node& node);

/// The edge that leads to x; an empty one if x is not tracked.
Edge edge_to(const Tensor& x);

/// Attaches `x` as output `i` of `node`.
void attach(const Tensor& x, const std::shared_ptr<Node>& node, int i);

/// x without history, same storage: a handle of its own.
Tensor alias_of(const Tensor& x);

/// Destroys its arguments without recursion, however long the chain of nodes behind them is.
void destroy_later(std::shared_ptr<Node> node);
void destroy_later(Tensor tensor);

}  // namespace tessera
