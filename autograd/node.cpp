#include <atomic>
#include <utility>

#include "autograd/grad_mode.h"
#include "autograd/node_internal.h"
#include "autograd/rule_table.h"

namespace tessera {
namespace {

std::atomic<uint64_t> next_number{1};

/// Things whose destruction would recurse are queued here; the outermost destructor drains the
/// queue, so the stack stays flat however deep the graph is.
struct Graveyard {
  std::vector<std::shared_ptr<Node>> nodes;
  Tensors tensors;

  void drain() {
    while (!nodes.empty() || !tensors.empty()) {
      if (!nodes.empty()) {
        const std::shared_ptr<Node> node = std::move(nodes.back());
        nodes.pop_back();
      } else {
        const Tensor tensor = std::move(tensors.back());
        tensors.pop_back();
      }
    }
  }
};

/// The queue of the outermost destructor that is running on this thread. A plain pointer, because
/// static tensors are destroyed after the main thread's other thread_local objects.
thread_local Graveyard* open_yard = nullptr;

/// Lives while something is destroyed; the outermost one brings the queue, and drains it at its
/// end.
class Burial {
 public:
  Burial() : outermost_(open_yard == nullptr) {
    if (outermost_) open_yard = &own_;
  }
  ~Burial() {
    if (!outermost_) return;
    own_.drain();
    open_yard = nullptr;
  }
  Burial(const Burial&) = delete;
  Burial& operator=(const Burial&) = delete;

  Graveyard* operator->() const { return open_yard; }

 private:
  Graveyard own_;
  bool outermost_;
};

SavedTensor save(const Tensor& x) { return {x, x.storage(), x.storage()->version()}; }

/// Can the op at the other end of the edge make this input again?
bool can_remake(const Edge& edge) {
  return edge.node && edge.node->rule->remake && edge.node->rule->remade_output == edge.output;
}

}  // namespace

void destroy_later(std::shared_ptr<Node> node) {
  if (!node) return;
  const Burial burial;
  burial->nodes.push_back(std::move(node));
}

void destroy_later(Tensor tensor) {
  if (!tensor.defined()) return;
  const Burial burial;
  burial->tensors.push_back(std::move(tensor));
}

void Node::release() {
  const Burial burial;
  for (SavedTensor& s : saved_inputs) {
    if (s.tensor.defined()) burial->tensors.push_back(std::move(s.tensor));
  }
  for (SavedTensor& s : saved_outputs) {
    if (s.tensor.defined()) burial->tensors.push_back(std::move(s.tensor));
  }
  for (Tensor& s : statistics) burial->tensors.push_back(std::move(s));
  saved_inputs.clear();
  saved_outputs.clear();
  statistics.clear();
  op.reset();  // an op may hold tensors (indices, labels)
  released = true;
}

Node::~Node() {
  const Burial burial;
  for (Edge& edge : edges) {
    if (edge.node) burial->nodes.push_back(std::move(edge.node));
  }
  edges.clear();
  release();
}

GradMeta::~GradMeta() { destroy_later(std::move(node)); }

void check_not_released(const Node& node) {
  check<StateError>(!node.released,
                    "backward: this graph was freed by an earlier walk; pass retain_graph to the "
                    "first");
}

Edge edge_to(const Tensor& x) {
  GradMeta* meta = grad_meta(x);
  if (meta == nullptr) return {};
  if (meta->node) return {meta->node, meta->output, nullptr};
  return {nullptr, 0, meta->shared_from_this()};
}

void attach(const Tensor& x, const std::shared_ptr<Node>& node, int i) {
  auto meta = std::make_shared<GradMeta>();
  meta->node = node;
  meta->output = i;
  x.set_meta(std::move(meta));
}

Tensor alias_of(const Tensor& x) {
  return Tensor(x.storage(), x.dtype(), x.shape(), x.strides(), x.offset());
}

void GradMeta::record(OpRecord r) {
  if (!grad_enabled()) return;
  const Rule& rule = RuleTable::instance().find(r.type, *r.op);
  auto made = std::make_shared<Node>();
  made->number = next_number.fetch_add(1, std::memory_order_relaxed);
  made->rule = &rule;
  Wanted wanted;
  for (const Tensor& input : r.inputs) {
    made->edges.push_back(edge_to(input));
    made->inputs.push_back(input.defined() ? TensorInfo{input.shape(), input.options()}
                                           : TensorInfo{});
    wanted.push_back(made->edges.back().wanted());
  }
  const SavePlan plan = rule.plan(wanted, r.outputs.size());
  for (size_t i = 0; i < r.inputs.size(); ++i) {
    const bool wanted_later = r.inputs[i].defined() && plan.input(i);
    const bool remade = wanted_later && plan.remade_input(i) && can_remake(made->edges[i]);
    made->saved_inputs.push_back(wanted_later && !remade ? save(r.inputs[i]) : SavedTensor{});
    made->saved_inputs.back().remade = remade;
  }
  for (size_t i = 0; i < r.outputs.size(); ++i) {
    const Tensor& y = r.outputs[i];
    made->outputs.push_back({y.shape(), y.options()});
    // Without history: an output that held its own node would never be freed.
    made->saved_outputs.push_back(plan.output(i) ? save(alias_of(y)) : SavedTensor{});
  }
  if (rule.fast) made->statistics = std::move(r.statistics);
  made->op = std::move(r.op);
  for (size_t i = 0; i < r.outputs.size(); ++i) attach(r.outputs[i], made, static_cast<int>(i));
}

}  // namespace tessera
