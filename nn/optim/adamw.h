#pragma once

#include "nn/optim/param_groups.h"
#include "nn/state_dict.h"

namespace tessera::nn {

/// What to do about a parameter that `backward` did not reach.
enum class MissingGrad { error, skip };

struct AdamWSettings {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weight_decay = 0.01;  ///< where parameters are given without groups
  double max_grad_norm = 0;    ///< clip the norm of all gradients together; 0: do not
  double average_decay = 0;    ///< in (0, 1): keep a moving average of the parameters as well
  MissingGrad missing_grad = MissingGrad::error;
};

struct StepReport {
  Tensor grad_norm;     ///< scalar on the device, before clipping; undefined if not measured
  int64_t updated = 0;  ///< parameters changed
  int64_t skipped = 0;  ///< parameters without gradient
};

/// Adam with decoupled weight decay, all parameters of a step count in one pass.
///
///   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
///   p = p - lr wd p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps),  lr = settings.lr *
///   scale
///
/// t counts the steps of each parameter: one that was skipped is corrected as if it joined later.
/// It holds handles, so it follows a module that is moved to another device before the first step.
/// Source: Loshchilov, Hutter, arXiv:1711.05101, algorithm 2.
class AdamW {
 public:
  /// Parameters must be f32 or f64 leaves of one dtype, each in one group only; StateError or
  /// DTypeError otherwise. ValueError for settings out of range.
  AdamW(std::vector<ParamGroup> groups, const AdamWSettings& settings = {});
  /// One group of those that are not frozen, with settings.weight_decay.
  AdamW(NamedParameters parameters, const AdamWSettings& settings = {});
  AdamW(AdamW&&) = default;
  AdamW& operator=(AdamW&&) = default;
  AdamW(const AdamW&) = delete;
  AdamW& operator=(const AdamW&) = delete;

  /// Updates every parameter that has a gradient. Throws StateError, naming it, for one that has
  /// none, unless the settings say skip; nothing changed then. Does not wait for the device. A norm
  /// that is not finite leaves a clipped step without effect beyond decay. `grad_scale`: a scalar
  /// that gradients are multiplied by, from who has measured their norm together with others
  /// (`clip_scale`); the step does not clip by itself then.
  StepReport step(const Tensor& grad_scale = {});
  /// `backward(loss)`, `step()` and `zero_grad()` in one, with the same bits: a parameter is
  /// updated and its gradient dropped as soon as backward has it whole, so that gradients of all
  /// parameters are never held at once. Gradients that are there already count too. The report has
  /// the norm.
  ///
  /// ValueError if the settings clip: the norm of all gradients is known only when backward is
  /// done. Throws StateError for a parameter without gradient as `step` does, but after the others
  /// have changed; if backward itself throws, some have changed as well, and only a saved state
  /// brings back what was.
  StepReport backward_and_step(const Tensor& loss);
  /// Drops all gradients.
  void zero_grad() const;

  double lr() const { return settings_.lr; }
  void set_lr(double lr) { settings_.lr = lr; }
  const std::vector<ParamGroup>& groups() const { return groups_; }

  /// m.NAME, v.NAME, average.NAME (if kept) and step.NAME (i64 scalar) for every published name.
  /// The tensors are views, the step counts copies.
  StateDict state() const;
  /// Takes over such a state; strict. Throws StateError with the report, changing nothing.
  void load(const StateDict& state);
  /// The averaged parameters by published name: what to evaluate or save. StateError if none are
  /// kept.
  StateDict averages() const;

 private:
  struct Slot {
    const NamedParameter* parameter;  // in groups_, whose elements stay where they are
    const ParamGroup* group;
    Tensor m, v, average;
    int64_t step = 0;
  };
  void prepare(Slot& slot) const;
  void update(std::span<Slot* const> slots, const Tensors& grads, const Tensor& grad_scale);
  template <class F>
  void for_each_name(F f) const;

  std::vector<ParamGroup> groups_;
  AdamWSettings settings_;
  mutable std::vector<Slot> slots_;
};

}  // namespace tessera::nn
