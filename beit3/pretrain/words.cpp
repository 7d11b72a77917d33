#include "beit3/data/masking.h"
#include "beit3/pretrain/words_internal.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {

std::vector<std::pair<int64_t, int64_t>> words_of(const Tokenizer& tokenizer,
                                                  const std::vector<int64_t>& content) {
  std::vector<std::pair<int64_t, int64_t>> words;
  for (int64_t i = 0; i < static_cast<int64_t>(content.size()); ++i) {
    if (words.empty() || tokenizer.starts_word(content[static_cast<size_t>(i)])) {
      words.emplace_back(i, i + 1);
    } else {
      words.back().second = i + 1;
    }
  }
  return words;
}

MaskedText hide_chosen(const Tokenizer& tokenizer, std::vector<int64_t> content, int64_t max_text,
                       const std::vector<int64_t>& chosen) {
  if (static_cast<int64_t>(content.size()) > max_text - 2) {
    content.resize(static_cast<size_t>(max_text - 2));
  }
  const auto words = words_of(tokenizer, content);
  MaskedText text;
  text.ids = content;
  text.ids.insert(text.ids.begin(), XlmrIds::kBos);
  text.ids.push_back(XlmrIds::kEos);
  for (int64_t w : chosen) {
    check<IndexError>(w >= 0 && w < static_cast<int64_t>(words.size()),
                      "hide words: word {} is outside a text of {} words", w, words.size());
    const auto [begin, end] = words[static_cast<size_t>(w)];
    HiddenWord hidden;
    hidden.begin = begin + 1;
    for (int64_t i = begin; i < end; ++i) {
      hidden.ids.push_back(content[static_cast<size_t>(i)]);
      text.ids[static_cast<size_t>(i) + 1] = tokenizer.mask_id();
    }
    hidden.text = tokenizer.decode(hidden.ids);
    text.hidden.push_back(std::move(hidden));
  }
  return text;
}

MaskedText hide_words(const Tokenizer& tokenizer, std::vector<int64_t> content, int64_t max_text,
                      double share, RandomKey key) {
  if (static_cast<int64_t>(content.size()) > max_text - 2) {
    content.resize(static_cast<size_t>(max_text - 2));
  }
  std::vector<int64_t> places;
  for (size_t i = 0; i < words_of(tokenizer, content).size(); ++i) {
    places.push_back(static_cast<int64_t>(i));
  }
  const std::vector<int64_t> chosen = text_mask(places, share, key);
  return hide_chosen(tokenizer, std::move(content), max_text, chosen);
}

}  // namespace tessera::beit3
