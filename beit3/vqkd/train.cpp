#include "beit3/vqkd/train.h"

#include <algorithm>

#include "autograd/autograd.h"
#include "nn/optim/schedule.h"
#include "tensor/ops/elementwise.h"

namespace tessera::beit3 {
namespace {

/// Draws of a step: which rows start the codes, which replace unused ones.
enum Purpose : uint64_t { kStart = 1, kRevive = 2 };

const VqkdRecipe& checked(const VqkdRecipe& r) {
  check<ValueError>(r.steps > r.plain_steps && r.plain_steps >= 0,
                    "image tokenizer: {} steps, of which {} without codes; make the first larger",
                    r.steps, r.plain_steps);
  check<ValueError>(r.batch >= 1, "image tokenizer: batch is {}; it must be at least 1", r.batch);
  check<ValueError>(r.start_rounds >= 1,
                    "image tokenizer: start_rounds is {}; at least 1 is needed", r.start_rounds);
  check<ValueError>(r.decay >= 0 && r.decay < 1, "image tokenizer: decay is {}; expected [0, 1)",
                    r.decay);
  check<ValueError>(r.warmup >= 0 && r.revive_after >= 0 && r.clip >= 0 && r.commitment >= 0 &&
                        r.foreground.extra >= 0,
                    "image tokenizer: warmup {}, revive_after {}, clip {}, commitment {} and "
                    "foreground {} must not be negative",
                    r.warmup, r.revive_after, r.clip, r.commitment, r.foreground.extra);
  return r;
}

Vqkd fresh_model(const VqkdRecipe& recipe) {
  const RandomKey key = RandomKey{recipe.seed}.fold(1);
  Vqkd vq(recipe.model, key);
  if (recipe.published_init) initialise_as_published(vq, key.fold(9));
  return vq;
}

nn::AdamWSettings settings_of(const VqkdRecipe& r) {
  return {.lr = r.lr,
          .beta1 = r.beta1,
          .beta2 = r.beta2,
          // A bound that no finite norm reaches: the norm is measured in the optimizer's own pass,
          // and a step whose gradients are not finite changes nothing.
          .max_grad_norm = r.clip > 0 ? r.clip : 1e30};
}

}  // namespace

std::vector<nn::ParamGroup> vqkd_groups(const Vqkd& vq, double weight_decay) {
  std::vector<std::string> still;
  for (const char* tower : {"encoder", "decoder"}) {
    still.push_back(std::string(tower) + ".cls_token");
    still.push_back(std::string(tower) + ".pos_embed");
  }
  return nn::make_param_groups(vq.named_parameters(),
                               {.weight_decay = weight_decay, .no_decay = still});
}

VqkdTrainer::VqkdTrainer(const VqkdRecipe& recipe, VqkdSource source)
    : recipe_(checked(recipe)),
      source_(std::move(source)),
      model_(fresh_model(recipe_)),
      optimizer_(vqkd_groups(model_, recipe_.weight_decay), settings_of(recipe_)),
      last_used_(static_cast<size_t>(recipe.model.codes), 0),
      replaced_(last_used_.size(), -1) {
  recipe_.model = model_.config();
  check<ValueError>(source_.images != nullptr, "image tokenizer: there is no source of pictures");
  const bool taught = recipe_.model.target == VqkdTarget::features;
  check<ValueError>(!taught || source_.features != nullptr,
                    "image tokenizer: its target is a teacher's features, but none are given");
}

VqkdStep VqkdTrainer::run_step() {
  VqkdStep report;
  const RandomKey key = RandomKey{recipe_.seed}.fold(2).fold(static_cast<uint64_t>(step_));
  const Tensor images = source_.images(step_);
  const bool taught = recipe_.model.target == VqkdTarget::features;
  PatchTargets plain;
  if (!taught || model_.has_pixel_head()) {
    plain = plain_targets(images, recipe_.model.patch, recipe_.foreground);
  }

  const Tensor z = model_.features(images);
  const bool quantise = step_ >= recipe_.plain_steps;
  if (step_ == recipe_.plain_steps) start_codes(unit_rows(z.detach()), key.fold(kStart));
  Quantized q;
  if (quantise) {
    q = model_.quantize(z);
  } else {
    q.codes = unit_rows(z);
  }
  const Tensor decoded = model_.decoded(q.codes);
  const Tensor said = model_.target_of(decoded);
  const Tensor target_loss = taught ? cosine_loss(said, source_.features(step_))
                                    : weighted_square_loss(said, plain.target, plain.weight);
  Tensor loss = target_loss, pixel_loss;
  if (model_.has_pixel_head()) {
    // Detached: the pictures' head learns from what the decoder says and changes nothing of it.
    pixel_loss =
        weighted_square_loss(model_.pixels_of(decoded.detach()), plain.pixels, plain.weight);
    loss = loss + pixel_loss;
  }
  if (quantise && recipe_.commitment > 0) loss = loss + q.commitment * recipe_.commitment;
  backward(loss);

  report.lr = nn::warmup_cosine({.peak = recipe_.lr,
                                 .floor = recipe_.lr * recipe_.min_lr_share,
                                 .warmup = std::min(recipe_.warmup, recipe_.steps),
                                 .total = recipe_.steps},
                                step_);
  optimizer_.set_lr(report.lr);
  report.grad_norm = optimizer_.step().grad_norm.item<double>();
  optimizer_.zero_grad();
  report.loss = loss.item<double>();
  report.target_loss = target_loss.item<double>();
  report.pixel_loss = pixel_loss.defined() ? pixel_loss.item<double>() : 0;
  if (quantise) {
    report.commitment = q.commitment.item<double>();
    settle_codes(q, key.fold(kRevive));
  }
  report.step = ++step_;
  report.revived = revived_;
  report.usage = usage();
  return report;
}

void VqkdTrainer::start_codes(const Tensor& normalised, RandomKey key) {
  model_.quantize.start(normalised, key, recipe_.start_rounds);
  std::fill(last_used_.begin(), last_used_.end(), step_);
}

void VqkdTrainer::settle_codes(const Quantized& batch, RandomKey key) {
  // The errors that revival draws by are those of the codes that were looked up, before they move.
  std::vector<int64_t> counts(last_used_.size(), 0), dead;
  count_codes(batch.ids.to_vector<int64_t>(), counts);
  for (size_t code = 0; code < counts.size(); ++code) {
    if (counts[code] > 0) last_used_[code] = step_;
    if (recipe_.revive_after == 0 || step_ - last_used_[code] < recipe_.revive_after) continue;
    dead.push_back(static_cast<int64_t>(code));
  }
  model_.quantize.update(batch.normalised, batch.ids, recipe_.decay);
  for (int64_t code : model_.quantize.revive(dead, batch, key)) {
    last_used_[static_cast<size_t>(code)] = replaced_[static_cast<size_t>(code)] = step_;
    ++revived_;
  }
  recent_.push_back(std::move(counts));
  if (recent_.size() > kRecent) recent_.erase(recent_.begin());
}

CodeUsage VqkdTrainer::usage() const {
  if (recent_.empty()) return {};
  std::vector<int64_t> total(last_used_.size(), 0);
  for (const std::vector<int64_t>& counts : recent_) {
    for (size_t code = 0; code < total.size(); ++code) total[code] += counts[code];
  }
  const int64_t recent = static_cast<int64_t>(kRecent);
  for (size_t code = 0; code < total.size(); ++code) {
    if (replaced_[code] >= 0 && step_ - replaced_[code] < recent) total[code] = 0;
  }
  return usage_of(total);
}

bool VqkdTrainer::collapsed() const {
  return !recent_.empty() && has_collapsed(usage(), recipe_.collapse);
}

}  // namespace tessera::beit3
