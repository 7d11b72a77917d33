#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "beit3/model/config.h"

namespace tessera::beit3 {

/// Where samples come from, and how pictures become inputs.
struct DataRecipe {
  std::string images, pairs, texts;        ///< training sources; empty: none of that kind
  std::string split = "train";             ///< of a source that has several
  std::string held_out, held_out_texts;    ///< for evaluation; empty: none
  std::string held_out_split = "heldout";  ///< of a held-out source that has several
  bool augment = false;                    ///< random resized crop (and flip, if set)
  double min_crop = 0.5;                   ///< smallest share of the area that a crop keeps
  double flip = 0;                         ///< probability; 0 where captions speak of sides
  double jitter = 0;                       ///< brightness, contrast and saturation
  int64_t max_text = 64;                   ///< ids of a text, <s> and </s> included
  int64_t cache_mb = 1024;                 ///< decoded pictures kept in memory
  int64_t threads = 1;                     ///< that decode and augment ahead of the trainer
};

/// Everything that decides a pretraining run. Defaults that differ from the paper's
/// (arXiv:2208.10442, table 11) are those of the small demonstration, found by experiment.
struct PretrainRecipe {
  ModelConfig model;
  DataRecipe data;
  std::string text_tokenizer;   ///< a SentencePiece .model
  std::string image_tokenizer;  ///< a file of `beit3 vq train`

  int64_t steps = 1600;
  int64_t images = 16, texts = 16, pairs = 16;  ///< of each in every step
  int64_t accumulate = 1;        ///< pieces that a step's batch is cut into, to save memory
  double image_mask = 0.4;       ///< share of patches (paper: 0.4)
  double text_mask = 0.15;       ///< share of ids of texts alone (paper: 0.15)
  double pair_text_mask = 0.5;   ///< share of ids of pairs (paper: 0.5)
  double pair_image_mask = 0.4;  ///< share of patches of pairs (the paper leaves it open)
  int64_t min_block = 1;         ///< smallest masked block, in patches (BEiT: 16 of 196)
  int64_t max_block = 6;         ///< largest; 0: no limit
  /// How much each part of the loss counts (the paper leaves it open).
  double image_weight = 1, text_weight = 1, pair_text_weight = 1, pair_image_weight = 1;
  double code_power = 0.3;  ///< a code of frequency f weighs f^-power in the image loss
  double word_power = 0;    ///< a word of frequency f weighs f^-power in the text loss
  double lr = 2e-3, min_lr_share = 0.02;
  int64_t warmup = 60;
  double beta1 = 0.9, beta2 = 0.98, eps = 1e-6, weight_decay = 0.05, clip = 3;  ///< paper's
  /// Peak learning rate of the layers' matrices by Muon (nn/optim/muon.h); 0: AdamW moves them too.
  double muon_lr = 0, muon_momentum = 0.95;
  double average_decay = 0;   ///< moving average of the weights; 0: none
  std::string dtype = "f32";  ///< of activations: f32 or bf16
  bool recompute = false;     ///< layers run twice instead of keeping activations
  /// Parameters change as soon as their gradients are made, which are not kept; without clip.
  bool update_in_backward = false;
  uint64_t seed = 0;
  int64_t overfit = 0;  ///< use only so many samples of each kind; 0: all

  int64_t log_every = 20, save_every = 500, eval_every = 0, sheet_every = 0, keep = 2;
};

/// Is told every field of a recipe: its dotted name, the field, and a line of help. Configuration
/// files, flags, saved configurations and `config show` all come from this one list.
class RecipeVisitor {
 public:
  virtual ~RecipeVisitor() = default;
  virtual void operator()(std::string_view name, int64_t& value, std::string_view help) = 0;
  virtual void operator()(std::string_view name, uint64_t& value, std::string_view help) = 0;
  virtual void operator()(std::string_view name, double& value, std::string_view help) = 0;
  virtual void operator()(std::string_view name, bool& value, std::string_view help) = 0;
  virtual void operator()(std::string_view name, std::string& value, std::string_view help) = 0;
};
void visit_fields(PretrainRecipe& recipe, RecipeVisitor& visitor);

/// Throws ValueError, naming the field and what it may be.
void validate(const PretrainRecipe& recipe);

/// Sets one field from text. Throws ValueError for an unknown name (with the nearest known one) or
/// a value of the wrong kind.
void set_field(PretrainRecipe& recipe, std::string_view name, std::string_view value);

/// All names with their values as text, in order.
std::vector<std::pair<std::string, std::string>> field_values(const PretrainRecipe& recipe);

/// As a TOML file that reads back as the same recipe; each value with its line of help.
std::string to_toml(const PretrainRecipe& recipe);

/// The word of `known` with the smallest edit distance to `word`; empty if none is near.
std::string nearest_word(std::string_view word, const std::vector<std::string>& known);

}  // namespace tessera::beit3
