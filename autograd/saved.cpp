#include "autograd/saved.h"

#include "autograd/grad_mode.h"
#include "autograd/rule_table.h"

namespace tessera {
namespace {

Tensor as_rules_see(const Tensor& x) { return x.defined() ? x.to(compute_dtype(x.dtype())) : x; }

}  // namespace

void Saved::check_version(const SavedTensor& saved) const {
  const Storage& storage = *saved.tensor.storage();
  // `assign` gives the handle another storage, whose version may happen to be the same.
  check<StateError>(&storage == saved.storage.get() && storage.version() == saved.version,
                    "backward of {}: a tensor {} that it saved was changed in place by {} since",
                    node_.op->name(), saved.tensor.shape(), storage.last_change());
}

Tensor Saved::remade_input(size_t i) const {
  const Edge& edge = node_.edges[i];
  // Its number is smaller, so a walk that reaches both comes here first.
  check_not_released(*edge.node);
  Tensor made;
  {
    const NoGrad silent;
    Saved saved(*edge.node, Half::exact, false);
    made = edge.node->rule->remake(*edge.node->op, saved)
               .to(edge.node->outputs[static_cast<size_t>(edge.output)].options.dtype);
  }
  attach(made, edge.node, edge.output);
  return made;
}

Tensor Saved::input(size_t i) const { return as_rules_see(input_as_kept(i)); }
Tensor Saved::output(size_t i) const { return as_rules_see(output_as_kept(i)); }

Tensor Saved::input_as_kept(size_t i) const {
  const SavedTensor& saved = node_.saved_inputs[i];
  if (saved.remade) return remade_input(i);
  check<InternalError>(saved.tensor.defined(), "rule of {}: input {} was not saved",
                       node_.op->name(), i);
  check_version(saved);
  return saved.tensor;
}

Tensors Saved::inputs_as_kept() const {
  Tensors all;
  for (size_t i = 0; i < node_.saved_inputs.size(); ++i) {
    const SavedTensor& saved = node_.saved_inputs[i];
    if (saved.tensor.defined()) check_version(saved);
    all.push_back(saved.remade ? remade_input(i) : saved.tensor);
  }
  return all;
}

Tensors Saved::inputs() const {
  Tensors all = inputs_as_kept();
  for (Tensor& x : all) x = as_rules_see(x);
  return all;
}

Tensor Saved::output_as_kept(size_t i) const {
  const SavedTensor& saved = node_.saved_outputs[i];
  check<InternalError>(saved.tensor.defined(), "rule of {}: output {} was not saved",
                       node_.op->name(), i);
  check_version(saved);
  Tensor attached = alias_of(saved.tensor);
  attach(attached, node_.shared_from_this(), static_cast<int>(i));
  return attached;
}

Tensor Saved::statistic(size_t i) const {
  check<InternalError>(half_ == Half::fast,
                       "rule of {}: the exact half asked for a statistic, which is a constant",
                       node_.op->name());
  return node_.statistics[i];
}

kernels::Sink Saved::sink(size_t i) const {
  const Edge& edge = node_.edges[i];
  kernels::Sink sink{.into = {}, .accumulate = false, .wanted = edge.wanted()};
  if (!sinks_allowed_ || !edge.leaf || !edge.leaf->gradient.defined()) return sink;
  const Tensor& into = edge.leaf->gradient;
  if (into.exclusive() && into.is_contiguous() && !into.tracked()) {
    sink.into = into;
    sink.accumulate = true;
  }
  return sink;
}

std::vector<kernels::Sink> Saved::sinks(size_t first, size_t count) const {
  std::vector<kernels::Sink> all;
  for (size_t i = 0; i < count; ++i) all.push_back(sink(first + i));
  return all;
}

}  // namespace tessera
