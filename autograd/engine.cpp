#include <algorithm>
#include <optional>
#include <unordered_map>

#include "autograd/engine_internal.h"
#include "autograd/rule_table.h"
#include "tensor/ops/cast.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/reduce.h"

namespace tessera {
namespace {

/// slot += g, in place where the buffer is nobody else's.
void accumulate(Tensor& slot, Tensor g, bool recording) {
  if (!slot.defined()) {
    slot = std::move(g);
    return;
  }
  auto ours = [&](const Tensor& x) {
    return !recording && x.exclusive() && x.is_contiguous() && !x.tracked();
  };
  if (!ours(slot) && ours(g)) std::swap(slot, g);
  if (slot.numel() == 0) return;
  if (slot.dtype() == DType::f16) {  // which only stores
    slot = (slot.to(DType::f32) + g.to(DType::f32)).to(DType::f16);
  } else if (ours(slot)) {
    slot.storage()->backend().binary(binary_op(Add{}), slot.view(), g.view(), slot.mutable_view());
    slot.mark_changed("backward");
  } else {
    slot = slot + g;
  }
}

/// One walk over the graph, from the results back, in decreasing recording number. A node's number
/// is larger than those of its inputs, so when its turn comes all its gradients have arrived.
class Walk {
 public:
  Walk(std::span<const Tensor> ys, const WalkOptions& options)
      : options_(options), nodes_(nodes_behind(ys)) {
    place_.reserve(nodes_.size());
    for (size_t i = 0; i < nodes_.size(); ++i) place_.emplace(nodes_[i], i);
    state_.resize(nodes_.size());
    for (size_t i = 0; i < nodes_.size(); ++i)
      state_[i].gradients.resize(nodes_[i]->outputs.size());
    if (options_.when_whole) count_uses(ys);
  }

  void set_targets(std::span<const Edge> targets) {
    to_leaves_ = false;
    results_.resize(targets.size());
    for (size_t t = 0; t < targets.size(); ++t) {
      const Edge& edge = targets[t];
      if (edge.leaf) {
        leaf_targets_[edge.leaf.get()].push_back(t);
      } else if (const auto found = place_.find(edge.node.get()); found != place_.end()) {
        state_[found->second].targets.emplace_back(edge.output, t);
      }
    }
    mark_needed();
  }

  void start(const Tensor& y, const Tensor& g) {
    const Edge edge = edge_to(y);
    deliver(edge, y.dtype(), g);
    used(edge);
  }

  void run() {
    std::optional<EnableGrad> recording;
    std::optional<NoGrad> silent;
    if (options_.create_graph) {
      recording.emplace();
    } else {
      silent.emplace();
    }
    for (size_t i = nodes_.size(); i-- > 0;) {
      visit(i);
      for (const Edge& edge : nodes_[i]->edges) used(edge);
    }
  }

  Tensors take_results() { return std::move(results_); }

 private:
  struct State {
    Tensors gradients;                            // one an output
    std::vector<std::pair<int, size_t>> targets;  // (output, result)
    bool leads_somewhere = true;
  };

  void mark_needed() {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      bool leads = false;
      for (const Edge& edge : nodes_[i]->edges) {
        if (edge.leaf) {
          leads |= leaf_targets_.contains(edge.leaf.get());
        } else if (edge.node) {
          const State& before = state_[place_.at(edge.node.get())];
          leads |= before.leads_somewhere || !before.targets.empty();
        }
      }
      state_[i].leads_somewhere = leads;
    }
  }

  void count_uses(std::span<const Tensor> ys) {
    const auto count = [&](const Edge& edge) {
      if (edge.leaf) ++uses_left_[edge.leaf.get()];
    };
    for (const Tensor& y : ys) count(edge_to(y));
    for (const Node* node : nodes_) {
      for (const Edge& edge : node->edges) count(edge);
    }
  }

  /// One use of a leaf has brought its share of the gradient, or none.
  void used(const Edge& edge) {
    if (!edge.leaf || !options_.when_whole) return;
    if (--uses_left_[edge.leaf.get()] == 0 && edge.leaf->gradient.defined()) {
      options_.when_whole(*edge.leaf);
    }
  }

  void visit(size_t i) {
    State& state = state_[i];
    for (const auto& [output, result] : state.targets) {
      results_[result] = state.gradients[static_cast<size_t>(output)];
    }
    if (options_.cut_at_targets) {
      for (const auto& target : state.targets) {
        state.gradients[static_cast<size_t>(target.first)] = Tensor();
      }
    }
    const bool any = std::any_of(state.gradients.begin(), state.gradients.end(),
                                 [](const Tensor& g) { return g.defined(); });
    if (!any || !state.leads_somewhere) {
      state.gradients.clear();
      return;
    }
    Node& node = *nodes_[i];
    check_not_released(node);
    Tensors gradients = apply_rule(node, std::move(state.gradients));
    if (!options_.retain_graph && !options_.create_graph) node.release();
    for (size_t k = 0; k < gradients.size(); ++k) {
      if (!gradients[k].defined() || !node.edges[k].wanted()) continue;
      const TensorInfo& input = node.inputs[k];
      Tensor g = std::move(gradients[k]);
      if (!(g.shape() == input.shape)) g = sum_to(g, input.shape);  // rules know no broadcasting
      deliver(node.edges[k], input.options.dtype, std::move(g));
    }
  }

  Tensors apply_rule(Node& node, Tensors g) {
    const Rule& rule = *node.rule;
    if (rule.fast && !options_.create_graph) {
      Saved saved(node, Saved::Half::fast, to_leaves_);
      if (std::optional<Tensors> result = rule.fast(*node.op, saved, g)) return std::move(*result);
    }
    Saved saved(node, Saved::Half::exact, to_leaves_ && !options_.create_graph);
    return rule.exact(*node.op, saved, std::move(g));
  }

  /// To a tensor of `dtype`. Gradients of 16-bit ones are f32 on their way, and rounded at the end.
  void deliver(const Edge& edge, DType dtype, Tensor g) {
    if (edge.leaf) {
      deliver_to_leaf(*edge.leaf, g.to(to_leaves_ ? dtype : compute_dtype(dtype)));
    } else if (edge.node) {
      State& state = state_[place_.at(edge.node.get())];
      if (state.gradients.empty()) return;
      accumulate(state.gradients[static_cast<size_t>(edge.output)], g.to(compute_dtype(dtype)),
                 options_.create_graph);
    }
  }

  void deliver_to_leaf(GradMeta& leaf, Tensor g) {
    if (to_leaves_) {
      g = g.contiguous();
      // A leaf's gradient is its own: it may be changed in place later, and rules may hand one
      // tensor, or views of one, to several inputs.
      const bool keep = !leaf.gradient.defined() && !options_.create_graph;
      if (keep && !g.exclusive()) g = clone(g);
      accumulate(leaf.gradient, std::move(g), options_.create_graph);
      return;
    }
    const auto found = leaf_targets_.find(&leaf);
    if (found == leaf_targets_.end()) return;
    for (size_t t : found->second) accumulate(results_[t], g, options_.create_graph);
  }

  WalkOptions options_;
  bool to_leaves_ = true;
  std::vector<Node*> nodes_;
  std::unordered_map<Node*, size_t> place_;
  std::vector<State> state_;
  std::unordered_map<GradMeta*, std::vector<size_t>> leaf_targets_;
  std::unordered_map<GradMeta*, size_t> uses_left_;  // counted only if somebody waits
  Tensors results_;
};

Tensor gradient_or_one(std::string_view op, const Tensor& y, const Tensor& g) {
  if (!g.defined()) {
    check<ShapeError>(y.numel() == 1,
                      "{}: y is {}; pass its gradient, or reduce it to one element first", op,
                      y.shape());
    return ones(y.shape(), y.options());
  }
  check<ShapeError>(g.shape() == y.shape(), "{}: the gradient is {}, but y is {}", op, g.shape(),
                    y.shape());
  return g;
}

}  // namespace

std::vector<Node*> nodes_behind(std::span<const Tensor> ys) {
  std::vector<Node*> found, pending;
  std::unordered_map<Node*, bool> seen;
  auto push = [&](Node* node) {
    if (node != nullptr && seen.emplace(node, true).second) pending.push_back(node);
  };
  for (const Tensor& y : ys) {
    if (const GradMeta* meta = grad_meta(y)) push(meta->node.get());
  }
  while (!pending.empty()) {
    Node* node = pending.back();
    pending.pop_back();
    found.push_back(node);
    for (const Edge& edge : node->edges) push(edge.node.get());
  }
  std::sort(found.begin(), found.end(),
            [](const Node* a, const Node* b) { return a->number < b->number; });
  return found;
}

Tensors walk_to(std::span<const Tensor> ys, const Tensors& gs, std::span<const Edge> targets,
                const WalkOptions& options) {
  Walk walk(ys, options);
  walk.set_targets(targets);
  for (size_t i = 0; i < ys.size(); ++i) {
    if (gs[i].defined()) walk.start(ys[i], gs[i]);
  }
  walk.run();
  return walk.take_results();
}

void walk_to_leaves(const Tensor& y, const Tensor& g, const WalkOptions& options) {
  Walk walk(std::span(&y, 1), options);
  walk.start(y, g);
  walk.run();
}

void backward(const Tensor& y, const BackwardOptions& options) {
  check<StateError>(y.defined() && y.tracked(),
                    "backward: y does not depend on any leaf; mark one with requires_grad, and "
                    "compute y outside of NoGrad");
  check<ValueError>(!options.when_whole || !options.create_graph,
                    "backward: when_whole with create_graph: a gradient that is recorded is whole "
                    "when the walk over its own graph is; leave one of them out");
  walk_to_leaves(y, gradient_or_one("backward", y, options.gradient),
                 {.retain_graph = options.retain_graph,
                  .create_graph = options.create_graph,
                  .when_whole = options.when_whole});
}

Tensors grad(std::span<const Tensor> ys, std::span<const Tensor> xs, const GradOptions& options) {
  check<ShapeError>(options.gradients.empty() || options.gradients.size() == ys.size(),
                    "grad: {} gradients for {} results", options.gradients.size(), ys.size());
  std::vector<Edge> targets;
  for (const Tensor& x : xs) {
    check<StateError>(x.defined() && x.tracked(),
                      "grad: x {} is not tracked; mark it with requires_grad before computing y",
                      targets.size());
    targets.push_back(edge_to(x));
  }
  Tensors gs;
  for (size_t i = 0; i < ys.size(); ++i) {
    gs.push_back(gradient_or_one("grad", ys[i],
                                 options.gradients.empty() ? Tensor() : options.gradients[i]));
  }
  Tensors results =
      walk_to(ys, gs, targets,
              {.retain_graph = options.retain_graph, .create_graph = options.create_graph});
  for (size_t i = 0; i < results.size(); ++i) {
    results[i] =
        results[i].defined() ? results[i].to(xs[i].dtype()) : zeros(xs[i].shape(), xs[i].options());
  }
  return results;
}

Tensor requires_grad(const Tensor& x) {
  check<DTypeError>(is_floating(x.dtype()),
                    "requires_grad: x is {}; derivatives need a floating dtype", x.dtype());
  if (x.tracked()) {
    check<StateError>(grad_meta(x)->is_leaf(),
                      "requires_grad: x is the result of an op; detach it to make a leaf");
    return x;
  }
  x.set_meta(std::make_shared<GradMeta>());
  return x;
}

void zero_grad(const Tensor& leaf) {
  if (GradMeta* meta = grad_meta(leaf)) meta->gradient = Tensor();
}

}  // namespace tessera
