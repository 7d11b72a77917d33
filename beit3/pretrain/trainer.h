#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "beit3/data/prefetcher.h"
#include "beit3/pretrain/code_memory.h"
#include "beit3/pretrain/objective.h"
#include "beit3/pretrain/optimizer.h"

namespace tessera::beit3 {

struct Vqkd;

/// What one step did.
struct StepReport {
  int64_t step = 0;  ///< steps done, this one included
  double loss = 0, lr = 0, grad_norm = 0;
  PartResult image, text, pair_text, pair_image;
  int64_t sequences = 0, rows = 0;  ///< samples and tokens of the step
  double seconds = 0;
  bool finite = true;  ///< false: the update was skipped
};

/// A pretraining run in memory: model, optimizer, data, step. Deterministic: the state after n
/// steps is a function of recipe, data and tokenizers, not of threads or of where it was resumed.
class PretrainTrainer {
 public:
  /// Opens everything that the recipe names, and initialises the model. The sizes of the
  /// vocabularies come from the tokenizers. Throws ValueError, IoError, StateError.
  explicit PretrainTrainer(const PretrainRecipe& recipe);
  ~PretrainTrainer();

  const PretrainRecipe& recipe() const { return recipe_; }
  PretrainModel& model() { return model_; }
  /// What is evaluated and shown: the moving average of the weights where the recipe keeps one,
  /// else the weights themselves. Valid until the next step.
  const PretrainModel& evaluated_model();
  const PretrainData& data() const { return *data_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const Vqkd& image_tokenizer() const { return *image_tokenizer_; }
  int64_t step() const { return step_; }

  /// One optimizer step over the next batch. If it throws (no memory, a picture that went away),
  /// nothing has changed, and the next call tries the same batch again. Except with
  /// `train.update_in_backward`: if its backward pass throws, or gradients are not finite,
  /// parameters have changed in part. From then on this and `save` throw StateError until something
  /// is loaded.
  StepReport run_step();

  /// Writes parameters, optimizer, step and the identities of recipe, data and tokenizers, in one
  /// safetensors file, atomically.
  void save(const std::filesystem::path& path) const;
  /// Goes on where `save` left off. Throws StateError with the full difference if the file belongs
  /// to another model, tokenizer or data; nothing is changed then.
  void load(const std::filesystem::path& path);

  /// Of all parameters (beit3/model/parameter_hash.h): two equal runs print the same. A checkpoint
  /// has it in its metadata, too.
  std::string parameter_hash() const;

 private:
  StepReport try_step();
  nn::StepReport update_in_backward(const Tensor& loss, double lr);
  void check_whole() const;
  std::vector<int64_t> codes_of(const PretrainBatch& batch);
  void prepare_target_weights();
  void start_prefetch();

  PretrainRecipe recipe_;
  Tokenizer tokenizer_;
  std::unique_ptr<Vqkd> image_tokenizer_;
  uint64_t image_tokenizer_hash_ = 0;
  std::unique_ptr<PretrainData> data_;
  PretrainModel model_;
  std::unique_ptr<PretrainOptimizer> optimizer_;
  std::unique_ptr<PretrainModel> averaged_;
  TargetWeights target_weights_;
  CodeMemory code_memory_;
  int64_t step_ = 0;
  bool torn_ = false;  ///< some parameters are a step ahead of the others
  /// From the first step on, so that a run that is about to load prepares no batches in vain.
  std::unique_ptr<Prefetcher<PretrainBatch>> prefetch_;  // last: its threads use the above
};

/// Is a tensor of a checkpoint one of the model's, and not of the optimizer or the run?
bool belongs_to_model(std::string_view name);

/// Loads what a checkpoint holds besides the optimizer, for evaluation and for showing: the moving
/// average of the weights where it holds one. Throws IoError, naming the file, for what is no
/// checkpoint, or speaks of a larger model than it holds.
struct LoadedModel {
  PretrainRecipe recipe;
  PretrainModel model;
  int64_t step = 0;
  std::string text_tokenizer_hash, image_tokenizer_hash;
};
LoadedModel load_pretrained(const std::filesystem::path& checkpoint);

}  // namespace tessera::beit3
