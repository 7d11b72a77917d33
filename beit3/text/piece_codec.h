#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "beit3/text/normalizer.h"
#include "beit3/text/sentencepiece_model.h"
#include "beit3/text/unigram.h"

namespace tessera::beit3 {

class BpeSegmenter;

/// One piece of an encoded text. Bytes [begin, end) of the input are what it covers.
struct PieceToken {
  std::string text;  ///< the piece; for unknown text the (normalised) text itself
  int32_t id;
  int64_t begin, end;
};

/// Text to SentencePiece ids and back, for all four model types.
///
/// Loading builds every table; encoding and decoding are const, touch nothing shared and may run
/// on many threads. Ids are those of the model file; see xlmr_ids.h for the numbering of BEiT-3.
class PieceCodec {
 public:
  static constexpr int32_t kAbsent = -1;

  /// `name` is used in messages. Throws IoError if the pieces contradict each other: empty or
  /// repeated texts, not exactly one UNKNOWN piece, byte pieces that do not fit byte_fallback, a
  /// Unigram model without ordinary pieces, a broken normalisation table, a failing self test.
  explicit PieceCodec(SentencePieceModel model, std::string_view name = "model");
  ~PieceCodec();
  PieceCodec(const PieceCodec&) = delete;
  PieceCodec& operator=(const PieceCodec&) = delete;

  /// The ids of a text. Any bytes are accepted; empty or blank text may give no ids.
  /// Throws ValueError if the text has 2^32 bytes or more.
  std::vector<int32_t> encode(std::string_view text) const;

  /// The same with texts and positions.
  std::vector<PieceToken> encode_tokens(std::string_view text) const;

  /// The tokens of a text that was cut into these segments, by `segment` or otherwise: runs of
  /// unknown text become one, or bytes. `text` is what `normalizer()` made, with the way back.
  std::vector<PieceToken> tokens_of(const NormalizedText& text,
                                    std::span<const Segment> segments) const;

  /// Appends the segments that `encode` cuts a normalised text into.
  void segment(std::string_view normalized, std::vector<Segment>& out) const;

  /// The text of a sequence of ids. Throws IndexError for an id that is not a piece.
  std::string decode(std::span<const int32_t> ids) const;

  /// The text of a sequence of piece texts; those that are no pieces are copied.
  std::string decode_pieces(std::span<const std::string> pieces) const;

  /// The id of a piece text: control, byte and unknown pieces first, then ordinary ones, else the
  /// unknown id.
  int32_t piece_id(std::string_view text) const;

  /// The piece of an id. Throws IndexError if there is none.
  const Piece& piece(int64_t id) const;

  int64_t piece_count() const { return static_cast<int64_t>(model_.pieces.size()); }
  int32_t unknown_id() const { return unknown_id_; }

  /// Ids of the special pieces by name and type, or kAbsent.
  int32_t unk_id() const { return special_id(model_.trainer.unk_piece, "<unk>", true); }
  int32_t bos_id() const { return special_id(model_.trainer.bos_piece, "<s>", false); }
  int32_t eos_id() const { return special_id(model_.trainer.eos_piece, "</s>", false); }
  int32_t pad_id() const { return special_id(model_.trainer.pad_piece, "<pad>", false); }

  const SentencePieceModel& model() const { return model_; }
  /// Of the model, in messages.
  const std::string& name() const { return name_; }
  const Normalizer& normalizer() const { return normalizer_; }

  /// What cuts the text: one of these, or none for a model of words.
  const UnigramSegmenter* unigram() const { return unigram_.get(); }
  const BpeSegmenter* bpe() const { return bpe_.get(); }

 private:
  void index_pieces();
  void run_self_test() const;
  int32_t special_id(std::string_view text, std::string_view fallback, bool unknown) const;

  /// Calls emit(text, id, begin, end, joins_previous) for every token, positions in normalised
  /// bytes; byte-fallback tokens but the last of a character run are empty.
  template <class Emit>
  void for_each_token(std::string_view normalized, std::span<const Segment> segments,
                      Emit&& emit) const;

  SentencePieceModel model_;
  std::string name_;
  std::unordered_map<std::string_view, int32_t> reserved_, normal_;  // views into model_
  int32_t unknown_id_ = kAbsent;
  int32_t byte_ids_[256];
  Normalizer normalizer_;
  std::optional<Normalizer> denormalizer_;
  std::unique_ptr<const UnigramSegmenter> unigram_;
  std::unique_ptr<const BpeSegmenter> bpe_;
};

}  // namespace tessera::beit3
