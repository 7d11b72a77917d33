#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "beit3/text/byte_trie.h"
#include "beit3/text/sentencepiece_model.h"

namespace tessera::beit3 {

/// One piece of a cut text: bytes [begin, end) of the normalised text and the piece id. Text that
/// no piece covers comes one character at a time, with the id of the unknown piece.
struct Segment {
  uint32_t begin, end;
  int32_t id;
};

/// What an unknown character costs more than the worst ordinary piece.
inline constexpr float kUnknownPenalty = 10.0f;

/// Score of a user-defined symbol of a length, with the best score of the ordinary pieces.
inline double user_symbol_score(size_t length, float max_score) {
  return static_cast<double>(static_cast<float>(length) * max_score) - 0.1;
}

/// Cuts text into the pieces of the most probable segmentation under a unigram language model.
///
///   argmax over segmentations of sum over pieces of score(piece)
///
/// One pass from left to right over byte positions; a candidate is the f64 sum of a piece's score
/// and the f32 best score so far, and replaces the entry at its end only if it is greater. This mix
/// of precisions decides ties, and is what makes the result equal SentencePiece's. An unknown
/// character costs 10 more than the worst ordinary piece; a user-defined symbol scores
/// (bytes * best score) - 0.1. Time O(n * longest piece), memory 12 bytes a byte of text.
/// Source: Kudo, arXiv:1804.10959, section 3.2.
class UnigramSegmenter {
 public:
  /// The model must have passed PieceCodec's checks; `unknown_id` is its unknown piece.
  UnigramSegmenter(const SentencePieceModel& model, int32_t unknown_id);

  /// Appends the segments of `text` (normalised, below 2^32 bytes) to `out`, left to right.
  void segment(std::string_view text, std::vector<Segment>& out) const;

  /// The score by which `text`, if it is piece `id`, enters a segmentation.
  double score(int32_t id) const { return scores_[static_cast<size_t>(id)]; }

  int32_t unknown_id() const { return unknown_id_; }
  float unknown_score() const { return unknown_score_; }

  /// The best score of the ordinary pieces, as it enters that of a user-defined symbol.
  float max_score() const { return max_score_; }

  /// The pieces that can match text, with their ids.
  const ByteTrie& trie() const { return trie_; }

 private:
  ByteTrie trie_;
  std::vector<double> scores_;
  int32_t unknown_id_;
  float unknown_score_, max_score_;
};

}  // namespace tessera::beit3
