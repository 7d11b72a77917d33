#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "beit3/text/byte_trie.h"
#include "beit3/text/sentencepiece_model.h"
#include "beit3/text/unigram.h"

namespace tessera::beit3 {

/// Cuts text by byte-pair merges: starting from characters, the adjacent pair whose joined text is
/// the piece of the highest score is merged, leftmost first among equals, until none is left.
///
/// User-defined symbols are found first (longest match) and never merged. A merge that yields an
/// UNUSED piece happens, and is undone in the result. Time O(n log n).
/// Source: Sennrich, Haddow, Birch, arXiv:1508.07909.
class BpeSegmenter {
 public:
  /// merges = false gives the CHAR model: characters and user-defined symbols only.
  /// The model must outlive the segmenter and have passed PieceCodec's checks.
  BpeSegmenter(const SentencePieceModel& model, int32_t unknown_id, bool merges);

  /// Appends the segments of `text` (normalised, below 2^32 bytes) to `out`, left to right.
  void segment(std::string_view text, std::vector<Segment>& out) const;

 private:
  std::unordered_map<std::string_view, int32_t> ids_;  // texts that can match; views into the model
  std::unordered_map<std::string_view, int32_t> named_;  // every piece, reserved ones first
  const SentencePieceModel* model_;
  ByteTrie symbols_;
  int32_t unknown_id_;
  bool merges_;
};

}  // namespace tessera::beit3
