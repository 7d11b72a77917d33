#include <algorithm>

#include "autograd/checkpoint_internal.h"
#include "autograd/engine_internal.h"
#include "autograd/rule_table.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/shape_ops.h"

namespace tessera {
namespace {

/// x under another name: derivatives by it do not count what x's own history adds. While recording
/// it stays connected to x, so that the results can be differentiated again.
Tensor alias_for_derivative(const Tensor& x, bool recording) {
  Tensor alias = alias_of(x);
  if (recording && x.tracked()) {
    record(Alias{}, {x}, {alias});
    return alias;
  }
  return requires_grad(alias);
}

/// A handle with the leaf's meta, for a record's input list. Its elements are never read.
Tensor stand_in(const std::shared_ptr<GradMeta>& leaf, const TensorInfo& info) {
  const Tensor one = empty({}, info.options);
  Tensor handle(one.storage(), info.options.dtype, info.shape, Dims::filled(info.shape.rank(), 0),
                0);
  handle.set_meta(leaf);
  return handle;
}

}  // namespace

Tensors vjp(const TensorFunction& f, const Tensors& inputs, const Tensors& g,
            const std::vector<bool>& wanted) {
  const bool recording = grad_enabled();
  Tensors aliases = inputs, results(inputs.size());
  std::vector<Edge> targets;
  std::vector<size_t> places;
  Tensors ys;
  {
    const EnableGrad on;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].defined()) continue;
      if (!wanted.empty() && !wanted[i]) {
        if (!recording) aliases[i] = alias_of(inputs[i]);
        continue;
      }
      if (!is_floating(inputs[i].dtype())) continue;
      aliases[i] = alias_for_derivative(inputs[i], recording);
      targets.push_back(edge_to(aliases[i]));
      places.push_back(i);
    }
    ys = f(aliases);
  }
  const Tensors found =
      walk_to(ys, g, targets, {.create_graph = recording, .cut_at_targets = true});
  for (size_t k = 0; k < places.size(); ++k) {
    const Tensor& x = inputs[places[k]];
    results[places[k]] = found[k].defined() ? found[k].to(x.dtype()) : found[k];
  }
  return results;
}

Tensors checkpoint(const TensorFunction& f, const Tensors& inputs) {
  if (!grad_enabled()) return f(inputs);
  Tensors aliases = inputs, record_inputs = inputs;
  for (Tensor& x : aliases) {
    const bool tracked = x.defined() && x.tracked();
    x = x.defined() ? alias_of(x) : x;
    if (tracked) requires_grad(x);
  }
  const Tensors ys = f(aliases);
  std::vector<GradMeta*> seen;
  for (const Tensor& x : aliases) seen.push_back(grad_meta(x));
  for (const Node* node : nodes_behind(ys)) {
    for (size_t i = 0; i < node->edges.size(); ++i) {
      const std::shared_ptr<GradMeta>& leaf = node->edges[i].leaf;
      if (!leaf || std::find(seen.begin(), seen.end(), leaf.get()) != seen.end()) continue;
      seen.push_back(leaf.get());
      record_inputs.push_back(stand_in(leaf, node->inputs[i]));
    }
  }
  Tensors outputs;
  for (const Tensor& y : ys) outputs.push_back(y.defined() ? alias_of(y) : y);
  record(Checkpoint(f, inputs.size()), std::span<const Tensor>(record_inputs),
         std::span<const Tensor>(outputs));
  return outputs;
}

void add_checkpoint_rules(RuleTable& table) {
  table.add<Alias>(Save::none, [](const Alias&, Saved&, Tensor g) { return Tensors{g}; });

  table.add<Checkpoint>(Save::inputs, [](const Checkpoint& op, Saved& s, Tensors g) {
    const bool recording = grad_enabled();
    const Tensors saved = s.inputs_as_kept();
    Tensors aliases(saved.begin(), saved.begin() + static_cast<std::ptrdiff_t>(op.inputs));
    std::vector<Edge> targets;
    std::vector<size_t> places;
    Tensors ys;
    {
      const EnableGrad on;
      for (size_t i = 0; i < saved.size(); ++i) {
        if (!saved[i].defined() || !s.needs(i)) continue;
        if (i < op.inputs) aliases[i] = alias_for_derivative(saved[i], recording);
        targets.push_back(edge_to(i < op.inputs ? aliases[i] : saved[i]));
        places.push_back(i);
      }
      ys = op.function(aliases);
    }
    const Tensors found =
        walk_to(ys, g, targets, {.create_graph = recording, .cut_at_targets = true});
    Tensors results(saved.size());
    for (size_t k = 0; k < places.size(); ++k) results[places[k]] = found[k];
    return results;
  });
}

}  // namespace tessera
