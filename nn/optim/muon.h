#pragma once

#include "nn/optim/adamw.h"

namespace tessera::nn {

struct MuonSettings {
  double lr = 2e-3;
  double momentum = 0.95;
  double average_decay = 0;  ///< in (0, 1): keep a moving average of the parameters as well
  MissingGrad missing_grad = MissingGrad::error;
};

/// The polar factor of each matrix, near enough for a step: U V^T of x = U S V^T.
///
///   x_0 = x / (|x|_F + 1e-7),  x_{i+1} = a x_i + (b A + c A A) x_i,  A = x_i x_i^T,  five times,
///   a = 3.4445, b = -4.7750, c = 2.0315
///
/// x (N, R, C) with R <= C, f32 or f64 -> (N, R, C). Singular values of 0.002 |x|_F and more come
/// to lie between 0.68 and 1.21; a matrix of zeros stays zero. Source: Jordan and others, "Muon: An
/// optimizer for hidden layers in neural networks", 2024 (Newton-Schulz iteration, quintic
/// coefficients).
Tensor orthogonalised(const Tensor& x);

/// Momentum whose every matrix is made orthogonal before the step: all directions of a matrix move
/// by the same length, those that few samples ask for as well.
///
///   m = u m + (1 - u) g,  o = orthogonalised((1 - u) g + u m)
///   p = p - lr wd p - lr 0.2 sqrt(max(R, C)) o,  lr = settings.lr * scale
///
/// so that a step is about as long as one of AdamW. For the matrices of hidden layers only: tables,
/// heads, biases and norms belong to AdamW. A parameter that is published in pieces (queries, keys
/// and values) is as many matrices. Matrices of one shape are made orthogonal together.
/// Sources: Jordan and others 2024; weight decay and the length of the step: Liu and others, "Muon
/// is Scalable for LLM Training", arXiv:2502.16982, section 2.2.
class Muon {
 public:
  /// Parameters must be matrices, f32 or f64 leaves of one dtype, each given once; ShapeError,
  /// StateError or DTypeError otherwise. ValueError for settings out of range.
  explicit Muon(std::vector<ParamGroup> groups, const MuonSettings& settings = {});
  Muon(Muon&&) = default;
  Muon& operator=(Muon&&) = default;
  Muon(const Muon&) = delete;
  Muon& operator=(const Muon&) = delete;

  /// What a step would make of parameters and states.
  struct Plan {
    std::vector<std::pair<Tensor, Tensor>> changes;  ///< new elements, and what takes them
    int64_t updated = 0, skipped = 0;                ///< parameters
  };
  /// Computes a step and changes nothing. `grad_scale`: scalar by which gradients are multiplied; 0
  /// makes them 0 even where they are not finite. Throws StateError, naming it, for a parameter
  /// without gradient, unless the settings say skip.
  Plan plan(const Tensor& grad_scale = {});
  /// Takes over what was planned. Asks for no memory: all parameters change.
  void apply(const Plan& plan) const;
  /// Both.
  StepReport step(const Tensor& grad_scale = {});
  /// Drops all gradients.
  void zero_grad() const;

  double lr() const { return settings_.lr; }
  void set_lr(double lr) { settings_.lr = lr; }
  const std::vector<ParamGroup>& groups() const { return groups_; }

  /// momentum.NAME and average.NAME (if kept) for every published name. The tensors are views.
  StateDict state() const;
  /// Takes over such a state; strict. Throws StateError with the report, changing nothing.
  void load(const StateDict& state);
  /// The averaged parameters by published name. StateError if none are kept.
  StateDict averages() const;

 private:
  struct Slot {
    const NamedParameter* parameter;  // in groups_, whose elements stay where they are
    const ParamGroup* group;
    Tensor momentum, average;
  };
  void prepare(Slot& slot) const;
  template <class F>
  void for_each_field(F f) const;

  std::vector<ParamGroup> groups_;
  MuonSettings settings_;
  mutable std::vector<Slot> slots_;
};

}  // namespace tessera::nn
