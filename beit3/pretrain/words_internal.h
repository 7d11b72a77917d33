#pragma once

#include <string>
#include <vector>

#include "beit3/text/tokenizer.h"
#include "tensor/base/rng.h"

namespace tessera::beit3 {

/// A word whose pieces are all masked.
struct HiddenWord {
  std::string text;
  int64_t begin = 0;         // place of its first piece in the ids
  std::vector<int64_t> ids;  // its pieces
};

/// A text with some words masked: <s> … </s>.
struct MaskedText {
  std::vector<int64_t> ids;
  std::vector<HiddenWord> hidden;  // ascending
};

/// Ranges [begin, end) of content ids that make up a word each.
std::vector<std::pair<int64_t, int64_t>> words_of(const Tokenizer& tokenizer,
                                                  const std::vector<int64_t>& content);

/// Hides the given words of a text of content ids (cut to max_text - 2).
MaskedText hide_chosen(const Tokenizer& tokenizer, std::vector<int64_t> content, int64_t max_text,
                       const std::vector<int64_t>& chosen);

/// Hides a share of the words, at least one, drawn by `key`.
MaskedText hide_words(const Tokenizer& tokenizer, std::vector<int64_t> content, int64_t max_text,
                      double share, RandomKey key);

}  // namespace tessera::beit3
