#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "beit3/text/byte_trie.h"
#include "beit3/text/sentencepiece_model.h"
#include "beit3/text/unigram.h"
#include "tensor/base/rng.h"

namespace tessera::beit3 {

/// Merges that are skipped at random, so that a text comes out in other pieces every time.
struct BpeDropout {
  double probability = 0;  ///< that a merge, when its turn comes, does not happen
  RandomStream* random = nullptr;
};

/// Cuts text by byte-pair merges: starting from characters, the adjacent pair whose joined text is
/// the piece of the highest score is merged, leftmost first among equals, until none is left.
///
/// User-defined symbols are found first (longest match) and never merged. A merge that yields an
/// UNUSED piece happens, and is undone in the result. Time O(n log n).
/// Source: Sennrich, Haddow, Birch, arXiv:1508.07909; dropout: Provilkov, Emelianenko, Voita,
/// arXiv:1910.13267.
class BpeSegmenter {
 public:
  /// Far beyond any real model; their table takes up to 48 bytes a merge.
  static constexpr size_t kMaxMerges = size_t{1} << 24;

  /// merges = false gives the CHAR model: characters and user-defined symbols only.
  /// The model must outlive the segmenter and have passed PieceCodec's checks. Throws IoError if
  /// its pieces make more than kMaxMerges merges.
  BpeSegmenter(const SentencePieceModel& model, int32_t unknown_id, bool merges);

  /// Appends the segments of `text` (normalised, below 2^32 bytes) to `out`, left to right.
  void segment(std::string_view text, std::vector<Segment>& out, BpeDropout dropout = {}) const;

 private:
  /// Stands for the text of a symbol: the id of a piece that can match, or beyond those a single
  /// character that is none itself.
  using Atom = uint32_t;
  static constexpr Atom kNoAtom = 0xFFFFFFFF;

  struct Symbol;
  struct Parts {
    Atom left, right;
  };

  /// Which two atoms make which piece: open addressing, built once.
  class PairTable {
   public:
    void reserve(size_t pairs);
    void insert(Atom left, Atom right, int32_t piece);
    int32_t find(Atom left, Atom right) const {  // kNoPiece if there is none
      for (size_t at = slot(left, right);; at = (at + 1) & (entries_.size() - 1)) {
        const Entry& entry = entries_[at];
        if (entry.piece == kNoPiece || (entry.left == left && entry.right == right)) {
          return entry.piece;
        }
      }
    }
    static constexpr int32_t kNoPiece = -1;

   private:
    struct Entry {
      Atom left = kNoAtom, right = kNoAtom;
      int32_t piece = kNoPiece;
    };
    size_t slot(Atom left, Atom right) const {
      const uint64_t key = static_cast<uint64_t>(left) << 32 | right;
      return static_cast<size_t>(key * 0x9E3779B97F4A7C15ull >> shift_);
    }
    std::vector<Entry> entries_;
    int shift_ = 63;
  };

  void index_atoms();
  void index_merges();
  void split_into_symbols(std::string_view text, std::vector<Symbol>& symbols) const;

  const SentencePieceModel* model_;
  int32_t unknown_id_;
  bool merges_, has_unused_ = false;
  std::vector<std::string_view> atom_texts_;  // views into the model; reserved pieces have none
  std::vector<int32_t> atom_ids_;             // what a symbol of an atom comes out as
  Atom ascii_[128];                           // atom of each ASCII character
  ByteTrie atoms_, symbols_;
  PairTable pairs_;
};

}  // namespace tessera::beit3
