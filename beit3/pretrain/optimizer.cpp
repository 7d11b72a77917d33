#include "beit3/pretrain/optimizer.h"

#include <functional>

#include "autograd/grad_mode.h"
#include "beit3/model/model.h"
#include "nn/optim/clip.h"
#include "tensor/ops/update.h"

namespace tessera::beit3 {
namespace {

bool is_matrix_of_a_layer(const nn::NamedParameter& p) {
  return p.tensor.rank() == 2 && p.name.find(".layers.") != std::string::npos;
}

/// The parameters that `wanted` says, in groups as before.
template <class Wanted>
std::vector<nn::ParamGroup> select(std::vector<nn::ParamGroup> groups, Wanted wanted) {
  for (nn::ParamGroup& group : groups) {
    std::erase_if(group.parameters, [&](const nn::NamedParameter& p) { return !wanted(p); });
  }
  std::erase_if(groups, [](const nn::ParamGroup& group) { return group.parameters.empty(); });
  return groups;
}

void append_gradients(const std::vector<nn::ParamGroup>& groups, Tensors& all) {
  for (const nn::ParamGroup& group : groups) {
    for (Tensor& g : nn::gradients(group.parameters)) all.push_back(std::move(g));
  }
}

}  // namespace

std::vector<nn::ParamGroup> pretrain_groups(const PretrainModel& model, double weight_decay) {
  return nn::make_param_groups(
      model.named_parameters(),
      {.weight_decay = weight_decay,
       .no_decay = {"beit3.encoder.embed_positions.A.weight", "beit3.vision_embed.cls_token"}});
}

PretrainOptimizer::PretrainOptimizer(const PretrainModel& model, const PretrainRecipe& recipe)
    : max_grad_norm_(recipe.clip > 0 ? recipe.clip : 1e30),
      muon_share_(recipe.muon_lr / recipe.lr) {
  std::vector<nn::ParamGroup> groups = pretrain_groups(model, recipe.weight_decay);
  if (recipe.muon_lr > 0) {
    muon_.emplace(select(groups, is_matrix_of_a_layer),
                  nn::MuonSettings{.lr = recipe.muon_lr,
                                   .momentum = recipe.muon_momentum,
                                   .average_decay = recipe.average_decay,
                                   .missing_grad = nn::MissingGrad::skip});
    groups = select(std::move(groups), std::not_fn(is_matrix_of_a_layer));
  }
  adamw_.emplace(std::move(groups),
                 nn::AdamWSettings{.lr = recipe.lr,
                                   .beta1 = recipe.beta1,
                                   .beta2 = recipe.beta2,
                                   .eps = recipe.eps,
                                   .max_grad_norm = recipe.update_in_backward ? 0 : max_grad_norm_,
                                   .average_decay = recipe.average_decay,
                                   .missing_grad = nn::MissingGrad::skip});
}

nn::StepReport PretrainOptimizer::step(double lr) {
  adamw_->set_lr(lr);
  if (!muon_) return adamw_->step();
  const NoGrad silent;
  muon_->set_lr(lr * muon_share_);
  Tensors gradients;
  append_gradients(adamw_->groups(), gradients);
  append_gradients(muon_->groups(), gradients);
  const Tensor norm = global_norm(gradients);
  const Tensor scale = clip_scale(norm, max_grad_norm_);
  const nn::Muon::Plan plan = muon_->plan(scale);  // may run out of memory, as the next may
  nn::StepReport report = adamw_->step(scale);
  muon_->apply(plan);
  report.grad_norm = norm;
  report.updated += plan.updated;
  report.skipped += plan.skipped;
  return report;
}

nn::StepReport PretrainOptimizer::backward_and_step(const Tensor& loss, double lr) {
  adamw_->set_lr(lr);
  return adamw_->backward_and_step(loss);
}

void PretrainOptimizer::zero_grad() const {
  adamw_->zero_grad();
  if (muon_) muon_->zero_grad();
}

nn::StateDict PretrainOptimizer::state() const {
  nn::StateDict all = adamw_->state();
  if (muon_) all.merge(muon_->state());
  return all;
}

void PretrainOptimizer::load(const nn::StateDict& state) {
  if (!muon_) return adamw_->load(state);
  const nn::StateDict target = muon_->state();
  nn::StateDict matrices, rest;
  for (const auto& [name, tensor] : state) {
    (target.contains(name) ? matrices : rest).emplace(name, tensor);
  }
  nn::load_state(nn::clone(target), matrices, "muon");  // into copies: does it fit?
  adamw_->load(rest);
  muon_->load(matrices);
}

nn::StateDict PretrainOptimizer::averages() const {
  nn::StateDict all = adamw_->averages();
  if (muon_) all.merge(muon_->averages());
  return all;
}

}  // namespace tessera::beit3
