#pragma once

#include <functional>
#include <string>
#include <vector>

#include "beit3/data/manifest.h"
#include "beit3/pretrain/evaluate.h"
#include "beit3/text/tokenizer.h"

namespace tessera::beit3::cli {

/// A model with what is needed to show what it sees.
struct Shown {
  const PretrainModel& model;
  const Tokenizer& tokenizer;
  const Vqkd& vq;
  const PretrainRecipe& recipe;
};

/// Held-out samples that are shown: the first `count` with a picture that can be read, by the order
/// of the data set. Nothing is chosen by how it looks.
struct HeldOut {
  std::vector<Image> pictures;
  std::vector<std::string> texts;  ///< empty where a picture has no caption
};
HeldOut first_held_out(const DataRecipe& source, int64_t count);

/// Rows: picture, masked, filled by the model, the tokenizer's limit.
Image filled_sheet(const Shown& shown, const std::vector<Image>& pictures, uint64_t seed);

/// Places, among the words of a text, that are hidden for showing: words of the given kinds where
/// the kinds are known, else every third word from the second.
std::vector<int64_t> words_to_hide(const Tokenizer& tokenizer, const std::string& text,
                                   const std::map<std::string, std::string>& lexicon,
                                   const std::vector<std::string>& kinds);

/// Each caption with hidden words, filled beside its own picture and beside the next sample's.
std::string filled_captions(const Shown& shown, const HeldOut& samples,
                            const std::map<std::string, std::string>& lexicon,
                            const std::vector<std::string>& kinds);

/// A picture as the model takes it: (3, S, S).
std::vector<float> model_pixels(const PretrainRecipe& recipe, const Image& picture);

/// Counts the words of a text as the tokenizer cuts it.
int64_t word_count(const Tokenizer& tokenizer, const std::string& text);

}  // namespace tessera::beit3::cli
