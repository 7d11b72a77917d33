#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "beit3/text/piece_codec.h"

namespace tessera::beit3 {

/// What happens to the spelling of a special token, such as "<mask>", inside a text.
enum class SpecialText {
  kPlain,  ///< ordinary text: a caption cannot inject special ids
  kSplit,  ///< becomes the token; the parts around it are encoded on their own
};

/// Ids to text: which ids are dropped, and whether spaces before punctuation are removed.
struct IdsToTextOptions {
  bool skip_special = true;
  bool clean_up = false;
};

/// The XLM-RoBERTa numbering of a SentencePiece vocabulary of N pieces, which BEiT-3 uses:
///
///   <s> 0, <pad> 1, </s> 2, <unk> 3, any other piece j is j + 1, <mask> N + 1; N + 2 ids in all.
///
/// Source: Conneau et al., arXiv:1911.02116 (fairseq's numbering); Wang et al., arXiv:2208.10442.
class XlmrIds {
 public:
  static constexpr int64_t kBos = 0, kPad = 1, kEos = 2, kUnknown = 3;

  /// The codec must outlive this. Throws IoError unless pieces 0, 1 and 2 are the unknown piece,
  /// <s> and </s>: the numbering has no place for another order.
  explicit XlmrIds(const PieceCodec& codec);

  int64_t mask_id() const { return codec_->piece_count() + 1; }
  int64_t vocab_size() const { return codec_->piece_count() + 2; }

  /// The content ids of a text, without <s> and </s>.
  std::vector<int64_t> encode(std::string_view text, SpecialText mode = SpecialText::kPlain) const;

  /// The token texts behind `encode`'s ids; unknown text stands as itself.
  std::vector<std::string> tokens(std::string_view text,
                                  SpecialText mode = SpecialText::kPlain) const;

  /// The id of piece number `piece` of the model. Throws IndexError if there is none.
  int64_t id_of_piece(int32_t piece) const;

  /// The text of one id. Throws IndexError for an id outside [0, vocab_size).
  std::string_view token(int64_t id) const;

  /// True for <s>, <pad>, </s>, <unk> and <mask>.
  bool is_special(int64_t id) const { return (id >= 0 && id <= kUnknown) || id == mask_id(); }

  /// The texts of the ids joined, space marks as spaces, stripped of whitespace at both ends.
  /// Throws IndexError for an id outside [0, vocab_size).
  std::string decode(std::span<const int64_t> ids, IdsToTextOptions options = {}) const;

 private:
  /// Calls on_text for every part of the text to encode, and on_special for the ids in between.
  template <class Text, class Special>
  void for_each_part(std::string_view text, SpecialText mode, Text&& on_text,
                     Special&& on_special) const;

  const PieceCodec* codec_;
  std::vector<int64_t> id_of_piece_;
};

/// One row of model input.
struct PackedText {
  std::vector<int64_t> tokens;        ///< (max_len): <s> content </s> <pad> ...
  std::vector<uint8_t> padding_mask;  ///< (max_len): 1 where padded
  int64_t num_tokens = 0;             ///< real positions, <s> and </s> included
};

/// Cuts content ids on the right to max_len - 2, adds <s> and </s>, and pads to max_len.
/// Throws ValueError if there is no content or max_len < 3.
PackedText pack_text(std::span<const int64_t> content, int64_t max_len);

}  // namespace tessera::beit3
