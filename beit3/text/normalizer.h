#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "beit3/text/byte_trie.h"
#include "beit3/text/charsmap.h"
#include "beit3/text/sentencepiece_model.h"

namespace tessera::beit3 {

/// Rewritten text with its way back: output byte i comes from a piece of the input that starts at
/// byte `origin[i]`; `origin[size]` is where the input ends (before any dropped trailing blanks).
struct NormalizedText {
  std::string text;
  std::vector<uint32_t> origin;  ///< size + 1 entries; empty when not asked for
};

/// Rewrites text the way a SentencePiece model wants it before it is cut into pieces.
///
/// Leftmost-longest replacement over the model's table (it is *not* Unicode NFKC: replacements are
/// never looked at again, and half-composed text is left alone), then the handling of spaces:
/// leading, trailing and repeated spaces dropped, a dummy prefix added, each space written as
/// U+2581, as the spec says. User-defined symbols are copied unchanged. Ill-formed bytes become
/// U+FFFD. Source: the SentencePiece format; Kudo, Richardson, arXiv:1808.06226.
class Normalizer {
 public:
  Normalizer() : Normalizer(NormalizerSpec{}, {}, false, "") {}

  /// protected_symbols  texts to copy unchanged; duplicates are harmless
  /// whitespace_suffix  the dummy space goes to the end instead of the front
  /// name               of the model, for messages
  ///
  /// Throws IoError if the spec's table is malformed.
  Normalizer(const NormalizerSpec& spec, const std::vector<std::string>& protected_symbols,
             bool whitespace_suffix, std::string_view name);

  /// Throws ValueError if the input has 2^32 bytes or more, IoError if the table turns out damaged.
  NormalizedText normalize(std::string_view input) const;

  /// The same without the way back.
  std::string normalize_text(std::string_view input) const;

  bool has_table() const { return !charsmap_.empty(); }

 private:
  struct Step {
    std::string_view target;
    size_t bytes;
  };
  Step step(std::string_view input) const;

  template <bool kOrigins>
  void run(std::string_view input, NormalizedText& out) const;

  Charsmap charsmap_;
  ByteTrie symbols_;
  std::string_view space_;
  bool dummy_prefix_, dummy_suffix_, trim_;
  bool copy_ascii_[128];  // stays as it is in front of another ASCII byte
};

}  // namespace tessera::beit3
