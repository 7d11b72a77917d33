#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "beit3/vqkd/targets.h"
#include "beit3/vqkd/vqkd.h"
#include "nn/optim/adamw.h"

namespace tessera::beit3 {

/// How an image tokenizer is trained. Defaults: those of the drawn world, found by experiment.
struct VqkdRecipe {
  VqkdConfig model;
  int64_t steps = 350, batch = 64;
  double lr = 4e-3, min_lr_share = 0.05, beta1 = 0.9, beta2 = 0.99, weight_decay = 1e-4;
  double clip = 0;  ///< norm of all gradients together; 0: measured, not clipped
  int64_t warmup = 50;
  int64_t plain_steps = 60;   ///< at first nothing is quantised; then k-means makes the codes
  int64_t start_rounds = 10;  ///< of that k-means
  double decay = 0.97;        ///< of the codebook's averages
  int64_t revive_after = 20;  ///< steps without use after which a code is replaced; 0: never
  double commitment = 0.1;    ///< weight of the commitment loss (published: 1)
  ForegroundRule foreground;  ///< of targets without a teacher
  CollapseRule collapse;
  bool published_init = true;  ///< `initialise_as_published`; else as layers start by themselves
  uint64_t seed = 0;
};

/// What a step did. Losses are means over the batch.
struct VqkdStep {
  int64_t step = 0;        ///< steps made so far, this one included
  double loss = 0;         ///< all together
  double target_loss = 0;  ///< of what the decoder says
  double pixel_loss = 0;   ///< of the pictures' head, which does not shape the codes
  double commitment = 0;
  double grad_norm = 0, lr = 0;
  CodeUsage usage;      ///< over the last `VqkdTrainer::kRecent` steps; of no codes at first
  int64_t revived = 0;  ///< codes replaced so far
};

/// Where a trainer's pictures come from. All are functions of the step alone.
struct VqkdSource {
  /// Pictures (B, 3, S, S) in [0, 1].
  std::function<Tensor(int64_t step)> images;
  /// What the teacher says of their patches, (B * N, target_width); for VqkdTarget::features.
  std::function<Tensor(int64_t step)> features = {};
};

/// How the optimizer treats the parameters: everything decays but what has one axis, biases, class
/// tokens and positions (BEiT v2's code).
std::vector<nn::ParamGroup> vqkd_groups(const Vqkd& vq, double weight_decay);

/// Trains a tokenizer. The parameters after a number of steps are a function of recipe and source,
/// not of threads, or of where it was saved and loaded.
class VqkdTrainer {
 public:
  /// How many steps `VqkdStep::usage` looks back.
  static constexpr size_t kRecent = 20;

  /// Throws ValueError for a recipe out of range.
  VqkdTrainer(const VqkdRecipe& recipe, VqkdSource source);
  VqkdTrainer(const VqkdRecipe& recipe, std::function<Tensor(int64_t step)> images)
      : VqkdTrainer(recipe, VqkdSource{std::move(images)}) {}

  VqkdStep run_step();
  int64_t step() const { return step_; }
  bool done() const { return step_ >= recipe_.steps; }
  const VqkdRecipe& recipe() const { return recipe_; }
  const Vqkd& model() const { return model_; }
  /// Over the last `kRecent` steps; of no codes before codes exist. A code that was replaced in
  /// these steps does not count: it was put where it would be used.
  CodeUsage usage() const;
  /// Is the codebook, once it exists, used less than the recipe's rule asks for?
  bool collapsed() const;

  /// Writes tokenizer and training state into one file, atomically; `load_vqkd` reads it too.
  void save(const std::string& path) const;
  /// Goes on where `save` was called. Throws IoError for a file without training state or a
  /// damaged one, StateError, naming the values, for another recipe. Nothing is changed then.
  void load(const std::string& path);

 private:
  void start_codes(const Tensor& normalised, RandomKey key);
  void settle_codes(const Quantized& batch, RandomKey key);

  VqkdRecipe recipe_;
  VqkdSource source_;
  Vqkd model_;
  nn::AdamW optimizer_;
  int64_t step_ = 0, revived_ = 0;
  std::vector<int64_t> last_used_;            // step of each code's last use or replacement
  std::vector<int64_t> replaced_;             // step of its last replacement; -1: none
  std::vector<std::vector<int64_t>> recent_;  // counts of codes in the last steps
};

/// The recipe as JSON: what two runs must share for one to go on with the other.
std::string to_json(const VqkdRecipe& recipe);

}  // namespace tessera::beit3
