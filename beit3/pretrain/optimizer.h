#pragma once

#include <optional>
#include <vector>

#include "beit3/pretrain/recipe.h"
#include "nn/optim/muon.h"

namespace tessera::beit3 {

struct PretrainModel;

/// How the optimizer treats the model's parameters: everything decays but what has one axis,
/// biases, image positions and the class token (the released code's list).
std::vector<nn::ParamGroup> pretrain_groups(const PretrainModel& model, double weight_decay);

/// AdamW over all parameters; where the recipe has a `muon_lr`, Muon over the matrices of the
/// layers, and AdamW over the rest. Gradients are clipped by the norm of all of them together.
class PretrainOptimizer {
 public:
  PretrainOptimizer(const PretrainModel& model, const PretrainRecipe& recipe);

  /// A step with AdamW's learning rate `lr`, and Muon's in the recipe's proportion to it. If it
  /// throws, nothing has changed.
  nn::StepReport step(double lr);
  /// `backward(loss)`, `step` and `zero_grad` in one (nn::AdamW::backward_and_step), for recipes
  /// with `update_in_backward`. If it throws, some parameters may have changed.
  nn::StepReport backward_and_step(const Tensor& loss, double lr);
  void zero_grad() const;

  /// What nn::AdamW and nn::Muon call their states; their names do not meet.
  nn::StateDict state() const;
  /// Strict. Throws StateError with the report, changing nothing.
  void load(const nn::StateDict& state);
  /// The averaged parameters by published name. StateError if none are kept.
  nn::StateDict averages() const;

 private:
  double max_grad_norm_, muon_share_;
  std::optional<nn::AdamW> adamw_;
  std::optional<nn::Muon> muon_;
};

}  // namespace tessera::beit3
