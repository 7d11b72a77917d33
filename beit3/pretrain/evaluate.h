#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "beit3/image/image.h"
#include "beit3/pretrain/objective.h"

namespace tessera::beit3 {

struct Vqkd;

/// Right answers out of all, with what simple guesses reach.
struct Score {
  int64_t count = 0, right = 0;
  int64_t majority = 0;       ///< right if the commonest true answer of its kind were always given
  int64_t copy = 0;           ///< patches: right if the nearest visible patch were copied
  int64_t wrong_picture = 0;  ///< words of pairs: right with another sample's picture
  double share(int64_t n) const {
    return count > 0 ? static_cast<double>(n) / static_cast<double>(count) : 0;
  }
};

struct EvaluationOptions {
  int64_t samples = 500;  ///< held-out samples of each kind, from the front; 0: all
  int64_t batch = 32;
  double hidden = 0.5;  ///< share of a caption's words hidden at once; 0: one word
  uint64_t seed = 1;    ///< of the masks
  std::function<void(int64_t done, int64_t total)> progress{};
};

struct Evaluation {
  Score patches, shape_patches;  ///< all masked patches; those with something on them
  /// True if the held-out set is a drawn world: the second kind are the patches that its objects'
  /// exact masks touch. Elsewhere they are those whose pixels vary (variance above 0.01, as in the
  /// image tokenizer's foreground), which leaves out the inside of even surfaces.
  bool exact_objects = false;
  Score text_words;                         ///< masked words of texts alone
  std::map<std::string, Score> pair_words;  ///< by kind of word, and "all"
  std::map<std::string, Score> text_kinds;
  int64_t codes_used = 0, codes = 0;
  double chance_code = 0, chance_id = 0;
  int64_t broken_pictures = 0;  ///< held-out pictures that could not be read, left out
  std::string first_broken;     ///< and what is wrong with the first
};

/// Masked accuracy on held-out data.
///
/// Patches: 40 % block-masked as in training, the picture alone. Words of pairs: half of the words
/// of each caption hidden (whole words), the picture whole; then the same with the picture of the
/// next sample. Texts: half as in training. A word is right if all of its pieces are.
/// lexicon  kind of each word; empty: every word is of kind "word"
Evaluation evaluate(const PretrainModel& model, const Tokenizer& tokenizer, const Vqkd& vq,
                    const PretrainRecipe& recipe, const std::map<std::string, std::string>& lexicon,
                    const EvaluationOptions& options = {});

/// Opens the held-out data of a recipe, and throws what `evaluate` would: before hours of training
/// instead of after them.
void check_held_out(const PretrainRecipe& recipe);

/// As a table for people, each figure beside chance and the simple guesses.
std::string to_table(const Evaluation& e);
/// As one JSON object.
std::string to_json(const Evaluation& e);

/// What the model makes of one masked caption.
struct FilledCaption {
  std::string masked, filled, truth;  ///< with [..] around the words in question
};
/// Fills the words of `text` given in `hidden` (places among its words), seeing `picture` (3, S, S
/// floats as the model takes them; empty: none).
FilledCaption fill_caption(const PretrainModel& model, const Tokenizer& tokenizer,
                           const std::vector<float>& picture, const std::string& text,
                           const std::vector<int64_t>& hidden);

/// A masked picture and what the model sees in it.
struct FilledPicture {
  Image picture, masked, filled, limit;  ///< limit: all patches through the tokenizer alone
};
FilledPicture fill_picture(const PretrainModel& model, const Vqkd& vq, const Image& picture,
                           const PretrainRecipe& recipe, RandomKey key);

}  // namespace tessera::beit3
