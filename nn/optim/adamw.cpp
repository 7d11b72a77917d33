#include "nn/optim/adamw.h"

#include <map>
#include <unordered_map>

#include "autograd/autograd.h"
#include "tensor/ops/cast.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/update.h"

namespace tessera::nn {

namespace {

constexpr int64_t kElementsAtOnce = 1 << 18;  // fewer are not worth threads

void check_settings(const AdamWSettings& s) {
  auto in_unit = [](std::string_view name, double x) {
    check<ValueError>(x >= 0 && x < 1, "adamw: {} is {}, but must be in [0, 1)", name, x);
  };
  in_unit("beta1", s.beta1);
  in_unit("beta2", s.beta2);
  in_unit("average_decay", s.average_decay);
  check<ValueError>(s.lr >= 0, "adamw: lr is {}, but must not be negative", s.lr);
  check<ValueError>(s.eps >= 0, "adamw: eps is {}, but must not be negative", s.eps);
  check<ValueError>(s.max_grad_norm >= 0,
                    "adamw: max_grad_norm is {}, but must be positive, or 0 for no clipping",
                    s.max_grad_norm);
}

std::vector<ParamGroup> one_group(NamedParameters parameters, double weight_decay) {
  std::vector<ParamGroup> groups(1);
  groups[0].name = "all";
  std::erase_if(parameters, [](const NamedParameter& p) { return !p.tensor.tracked(); });
  groups[0].parameters = std::move(parameters);
  groups[0].weight_decay = weight_decay;
  return groups;
}

}  // namespace

AdamW::AdamW(NamedParameters parameters, const AdamWSettings& settings)
    : AdamW(one_group(std::move(parameters), settings.weight_decay), settings) {}

AdamW::AdamW(std::vector<ParamGroup> groups, const AdamWSettings& settings)
    : groups_(std::move(groups)), settings_(settings) {
  check_settings(settings);
  check_parameters("adamw", groups_);
  for (const ParamGroup& group : groups_) {
    for (const NamedParameter& p : group.parameters) {
      slots_.push_back({&p, &group, {}, {}, {}, 0});
    }
  }
}

/// States begin at the first step, on the device where the parameter is by then.
void AdamW::prepare(Slot& slot) const {
  const Tensor& x = slot.parameter->tensor;
  if (!slot.m.defined()) {
    // All or none, should memory run out between them.
    const Tensor m = zeros(x.shape(), x.options()), v = zeros(x.shape(), x.options());
    if (settings_.average_decay > 0) slot.average = tessera::clone(x.detach());
    slot.m = m;
    slot.v = v;
  }
  check<DeviceError>(slot.m.device() == x.device(),
                     "adamw: parameter \"{}\" is on {}, but its state on {}; move a module before "
                     "its first step",
                     slot.parameter->name, x.device(), slot.m.device());
}

StepReport AdamW::step(const Tensor& grad_scale) {
  const NoGrad guard;
  StepReport report;
  std::vector<Slot*> ready;
  Tensors grads;
  for (Slot& slot : slots_) {
    const Tensor g = slot.parameter->tensor.grad();
    if (!g.defined()) {
      check<StateError>(settings_.missing_grad == MissingGrad::skip,
                        "adamw: parameter \"{}\" has no gradient; was backward() called?",
                        slot.parameter->name);
      ++report.skipped;
      continue;
    }
    ready.push_back(&slot);
    grads.push_back(g.detach().contiguous());
  }
  if (ready.empty()) return report;
  for (Slot* slot : ready) prepare(*slot);

  Tensor scale = grad_scale;
  if (!scale.defined() && settings_.max_grad_norm > 0) {
    report.grad_norm = global_norm(grads);
    scale = clip_scale(report.grad_norm, settings_.max_grad_norm);
  }
  update(ready, grads, scale);
  report.updated = static_cast<int64_t>(ready.size());
  return report;
}

StepReport AdamW::backward_and_step(const Tensor& loss) {
  check<ValueError>(
      settings_.max_grad_norm == 0,
      "adamw: backward_and_step cannot clip to {}: the norm of all gradients is known "
      "only after backward; set max_grad_norm to 0, or call backward and step",
      settings_.max_grad_norm);
  std::unordered_map<const AutogradMeta*, Slot*> slots;
  for (Slot& slot : slots_) slots.emplace(slot.parameter->tensor.meta(), &slot);
  StepReport report;
  std::vector<Slot*> waiting;
  Tensors norms;
  int64_t elements = 0;
  const auto flush = [&] {
    Tensors grads;
    for (Slot* slot : waiting) {
      prepare(*slot);
      grads.push_back(slot->parameter->tensor.grad().detach().contiguous());
    }
    if (!grads.empty()) norms.push_back(global_norm(grads));
    update(waiting, grads, {});
    for (const Slot* slot : waiting) tessera::zero_grad(slot->parameter->tensor);
    report.updated += static_cast<int64_t>(waiting.size());
    waiting.clear();
    elements = 0;
  };
  const auto when_whole = [&](const AutogradMeta& leaf) {
    const auto found = slots.find(&leaf);
    if (found == slots.end()) return;
    waiting.push_back(found->second);
    elements += found->second->parameter->tensor.numel();
    slots.erase(found);
    if (elements >= kElementsAtOnce) flush();
  };
  backward(loss, {.when_whole = when_whole});
  const NoGrad guard;
  flush();
  // What this loss does not depend on may have a gradient all the same, from another one.
  for (Slot& slot : slots_) {
    if (slots.contains(slot.parameter->tensor.meta()) && slot.parameter->tensor.grad().defined()) {
      slots.erase(slot.parameter->tensor.meta());
      waiting.push_back(&slot);
    }
  }
  flush();
  report.skipped = static_cast<int64_t>(slots.size());
  if (!norms.empty()) report.grad_norm = global_norm(norms);
  for (const Slot& slot : slots_) {
    check<StateError>(settings_.missing_grad == MissingGrad::skip ||
                          !slots.contains(slot.parameter->tensor.meta()),
                      "adamw: parameter \"{}\" has no gradient; does the loss depend on it? The "
                      "others are updated",
                      slot.parameter->name);
  }
  return report;
}

/// Of prepared slots. No memory for tensors is asked for: all change, or none.
void AdamW::update(std::span<Slot* const> slots, const Tensors& grads, const Tensor& grad_scale) {
  std::map<int64_t, std::vector<AdamWItem>> by_step;
  for (size_t i = 0; i < slots.size(); ++i) {
    const Slot& slot = *slots[i];
    by_step[slot.step + 1].push_back({.param = slot.parameter->tensor,
                                      .grad = grads[i],
                                      .m = slot.m,
                                      .v = slot.v,
                                      .average = slot.average,
                                      .lr = settings_.lr * slot.group->lr_scale,
                                      .weight_decay = slot.group->weight_decay});
  }
  for (const auto& [step, items] : by_step) {
    adamw_update(items, {.beta1 = settings_.beta1,
                         .beta2 = settings_.beta2,
                         .eps = settings_.eps,
                         .step = step,
                         .average_decay = settings_.average_decay,
                         .grad_scale = grad_scale});
  }
  for (Slot* slot : slots) ++slot->step;
}

void AdamW::zero_grad() const {
  for (const Slot& slot : slots_) tessera::zero_grad(slot.parameter->tensor);
}

template <class F>
void AdamW::for_each_name(F f) const {
  for (Slot& slot : slots_) {
    prepare(slot);
    for (const Field& field : fields_of(*slot.parameter)) f(slot, field);
  }
}

StateDict AdamW::state() const {
  StateDict state;
  for_each_name([&](Slot& slot, const Field& field) {
    state.emplace("m." + field.name, rows_of(slot.m, field));
    state.emplace("v." + field.name, rows_of(slot.v, field));
    state.emplace("step." + field.name,
                  full({}, static_cast<double>(slot.step), {.dtype = DType::i64}));
    if (slot.average.defined()) {
      state.emplace("average." + field.name, rows_of(slot.average, field));
    }
  });
  return state;
}

void AdamW::load(const StateDict& saved) {
  const StateDict target = state();
  // Rows of one parameter are updated together: their counts must be one.
  std::map<const Slot*, int64_t> steps;
  for_each_name([&](Slot& slot, const Field& field) {
    const auto found = saved.find("step." + field.name);
    if (found == saved.end() || found->second.numel() != 1) return;  // the report will say so
    const int64_t step = found->second.item<int64_t>();
    check<StateError>(step >= 0, "adamw: step of \"{}\" is {}, but must not be negative",
                      field.name, step);
    const int64_t first = steps.emplace(&slot, step).first->second;
    check<StateError>(first == step,
                      "adamw: rows \"{}\" of one parameter have {} steps, but \"{}\" {}",
                      field.name, step, slot.parameter->name, first);
  });
  load_state(target, saved, "adamw");
  for (Slot& slot : slots_) slot.step = steps.at(&slot);
}

StateDict AdamW::averages() const {
  check<StateError>(settings_.average_decay > 0,
                    "adamw: no averages are kept; set average_decay to keep them");
  StateDict state;
  for_each_name([&](Slot& slot, const Field& field) {
    state.emplace(field.name, rows_of(slot.average, field));
  });
  return state;
}

}  // namespace tessera::nn
