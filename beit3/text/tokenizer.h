#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "beit3/text/sentencepiece_model.h"
#include "beit3/text/xlmr_ids.h"

namespace tessera::beit3 {

/// A text tokenizer as the rest of BEiT-3 uses it: a SentencePiece model with XLM-R ids.
///
/// A cheap handle: copies share one immutable model; all functions may run on many threads.
class Tokenizer {
 public:
  /// Reads a `.model` file. Throws IoError if it is missing, malformed or does not fit the XLM-R
  /// numbering.
  static Tokenizer load(const std::string& path);

  /// From a model in memory. Throws IoError as `load`.
  explicit Tokenizer(SentencePieceModel model, std::string_view name = "model");

  /// The content ids of a text, without <s> and </s>; special-token spellings are ordinary text
  /// unless asked otherwise. Blank text gives no ids.
  std::vector<int64_t> encode(std::string_view text, SpecialText mode = SpecialText::kPlain) const;

  /// Ids to text. Throws IndexError for an id outside [0, vocab_size).
  std::string decode(std::span<const int64_t> ids, IdsToTextOptions options = {}) const;

  /// The text of one id, with U+2581 for a leading space. Throws IndexError as `decode`.
  std::string_view piece(int64_t id) const;

  /// True if the id is ordinary text whose piece starts with U+2581, that is, begins a word.
  bool starts_word(int64_t id) const;

  bool is_special(int64_t id) const;
  int64_t mask_id() const;
  int64_t vocab_size() const;  ///< pieces + 2

  /// A number that two tokenizers share only if they encode and decode alike: xxHash64 of
  /// everything in the model that does, and of nothing else.
  uint64_t hash() const;

  const PieceCodec& codec() const;
  const SentencePieceModel& model() const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace tessera::beit3
