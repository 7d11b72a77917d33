#include "nn/optim/muon.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "autograd/autograd.h"
#include "nn/optim/clip.h"
#include "tensor/ops/cast.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::nn {

namespace {

/// Elements that are made orthogonal together: enough for all threads, few beside a model.
constexpr int64_t kElementsAtOnce = 4 << 20;

void check_settings(const MuonSettings& s) {
  for (const auto& [name, x] :
       {std::pair("momentum", s.momentum), std::pair("average_decay", s.average_decay)}) {
    check<ValueError>(x >= 0 && x < 1, "muon: {} is {}, but must be in [0, 1)", name, x);
  }
  check<ValueError>(s.lr >= 0, "muon: lr is {}, but must not be negative", s.lr);
}

/// One matrix of a step: rows of a parameter.
struct Piece {
  Tensor direction;           // with no more rows than columns
  Tensor parameter, average;  // the average may be undefined
  bool turned;
  double keep, rate;
};

/// Pieces of one shape: what is left of the parameter, less the step.
void plan_pieces(std::span<const Piece> pieces, double average_decay, Muon::Plan& plan) {
  Tensors directions;
  for (const Piece& piece : pieces) directions.push_back(piece.direction);
  const Tensor steps = orthogonalised(stack(directions));
  for (size_t i = 0; i < pieces.size(); ++i) {
    const Piece& p = pieces[i];
    const Tensor step = select(steps, 0, static_cast<int64_t>(i));
    const Tensor next = p.parameter * p.keep - (p.turned ? transpose(step) : step) * p.rate;
    plan.changes.emplace_back(next, p.parameter);
    if (!p.average.defined()) continue;
    plan.changes.emplace_back(p.average * average_decay + next * (1 - average_decay), p.average);
  }
}

}  // namespace

Tensor orthogonalised(const Tensor& x) {
  check<ShapeError>(x.rank() == 3 && x.size(1) <= x.size(2),
                    "orthogonalised: x is {}; expected (N, R, C) with R <= C", x.shape());
  constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;
  const Tensor norm = sqrt(sum(square(x), {1, 2}, KeepDims::yes)) + 1e-7;
  const Tensor identity = eye(x.size(1), x.options()) * kA;
  Tensor y = x / norm;
  for (int i = 0; i < 5; ++i) {
    const Tensor a = matmul(y, y, {.transpose_b = true});
    y = matmul(identity + a * kB + matmul(a, a) * kC, y);
  }
  return y;
}

Muon::Muon(std::vector<ParamGroup> groups, const MuonSettings& settings)
    : groups_(std::move(groups)), settings_(settings) {
  check_settings(settings);
  check_parameters("muon", groups_);
  for (const ParamGroup& group : groups_) {
    for (const NamedParameter& p : group.parameters) {
      check<ShapeError>(p.tensor.rank() == 2,
                        "muon: parameter \"{}\" is {}, but must be a matrix; give others to AdamW",
                        p.name, p.tensor.shape());
      slots_.push_back({&p, &group, {}, {}});
    }
  }
}

/// States begin at the first step, on the device where the parameter is by then.
void Muon::prepare(Slot& slot) const {
  const Tensor& x = slot.parameter->tensor;
  if (!slot.momentum.defined()) {
    const Tensor momentum = zeros(x.shape(), x.options());
    if (settings_.average_decay > 0) slot.average = tessera::clone(x.detach());
    slot.momentum = momentum;
  }
  check<DeviceError>(slot.momentum.device() == x.device(),
                     "muon: parameter \"{}\" is on {}, but its state on {}; move a module before "
                     "its first step",
                     slot.parameter->name, x.device(), slot.momentum.device());
}

Muon::Plan Muon::plan(const Tensor& grad_scale) {
  const NoGrad guard;
  Plan plan;
  const double u = settings_.momentum;
  std::map<std::pair<int64_t, int64_t>, std::vector<Piece>> by_shape;
  for (Slot& slot : slots_) {
    const Tensor x = slot.parameter->tensor.detach();
    Tensor g = slot.parameter->tensor.grad();
    if (!g.defined()) {
      check<StateError>(settings_.missing_grad == MissingGrad::skip,
                        "muon: parameter \"{}\" has no gradient; was backward() called?",
                        slot.parameter->name);
      ++plan.skipped;
      continue;
    }
    ++plan.updated;
    prepare(slot);
    g = g.detach();
    if (grad_scale.defined()) g = scaled_gradient(g, grad_scale);
    const Tensor momentum = slot.momentum * u + g * (1 - u);
    plan.changes.emplace_back(momentum, slot.momentum);
    const Tensor direction = momentum * u + g * (1 - u);
    const double lr = settings_.lr * slot.group->lr_scale;
    for (const Field& field : fields_of(*slot.parameter)) {
      const Tensor part = rows_of(direction, field);
      const int64_t rows = part.size(0), cols = part.size(1);
      if (part.numel() == 0) continue;
      const bool turned = rows > cols;
      by_shape[std::minmax(rows, cols)].push_back(
          {.direction = turned ? transpose(part) : part,
           .parameter = rows_of(x, field),
           .average = slot.average.defined() ? rows_of(slot.average, field) : Tensor(),
           .turned = turned,
           .keep = 1 - lr * slot.group->weight_decay,
           .rate = lr * 0.2 * std::sqrt(static_cast<double>(std::max(rows, cols)))});
    }
  }
  for (const auto& [shape, pieces] : by_shape) {
    const size_t most =
        static_cast<size_t>(std::max<int64_t>(kElementsAtOnce / (shape.first * shape.second), 1));
    for (size_t i = 0; i < pieces.size(); i += most) {
      const size_t count = std::min(most, pieces.size() - i);
      plan_pieces(std::span(pieces).subspan(i, count), settings_.average_decay, plan);
    }
  }
  return plan;
}

void Muon::apply(const Plan& plan) const {
  const NoGrad guard;
  for (const auto& [elements, into] : plan.changes) copy_into(elements, into);
}

StepReport Muon::step(const Tensor& grad_scale) {
  const Plan next = plan(grad_scale);
  apply(next);
  return {.grad_norm = {}, .updated = next.updated, .skipped = next.skipped};
}

void Muon::zero_grad() const {
  for (const Slot& slot : slots_) tessera::zero_grad(slot.parameter->tensor);
}

template <class F>
void Muon::for_each_field(F f) const {
  for (Slot& slot : slots_) {
    prepare(slot);
    for (const Field& field : fields_of(*slot.parameter)) f(slot, field);
  }
}

StateDict Muon::state() const {
  StateDict state;
  for_each_field([&](Slot& slot, const Field& field) {
    state.emplace("momentum." + field.name, rows_of(slot.momentum, field));
    if (slot.average.defined())
      state.emplace("average." + field.name, rows_of(slot.average, field));
  });
  return state;
}

void Muon::load(const StateDict& saved) { load_state(state(), saved, "muon"); }

StateDict Muon::averages() const {
  check<StateError>(settings_.average_decay > 0,
                    "muon: no averages are kept; set average_decay to keep them");
  StateDict state;
  for_each_field([&](Slot& slot, const Field& field) {
    state.emplace(field.name, rows_of(slot.average, field));
  });
  return state;
}

}  // namespace tessera::nn
