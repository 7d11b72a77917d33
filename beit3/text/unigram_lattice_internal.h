#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "beit3/text/byte_trie.h"
#include "beit3/text/trainer_corpus_internal.h"

namespace tessera::beit3 {

/// The current candidates of a Unigram training, ready to match text. Immutable.
class UnigramCandidates {
 public:
  /// The texts must outlive this.
  explicit UnigramCandidates(const std::vector<ScoredText>& pieces);

  const ByteTrie& trie() const { return trie_; }
  float score(uint32_t id) const { return scores_[id]; }
  float min_score() const { return min_score_; }

  /// Score of a character that no candidate covers.
  float unknown_score() const { return unknown_score_; }

 private:
  ByteTrie trie_;
  std::vector<float> scores_;
  float min_score_, unknown_score_;
};

/// All ways to cut one text into candidates. Reuse one object for many texts: it keeps its memory.
///
/// Nodes are ordered by start and, at one start, by length. Sums are f32 and follow that order;
/// this is part of what makes a training reproducible. An uncovered character is a node of
/// candidate 0, as in SentencePiece's trainer.
class UnigramLattice {
 public:
  void build(std::string_view text, const UnigramCandidates& candidates);

  /// Adds weight * P(candidate is used at a place) for every place to `expected`, by forward and
  /// backward sums; returns the logarithm of the total probability of the text.
  float add_expectations(float weight, std::vector<float>& expected);

  /// The ids of the best segmentation, left to right.
  void best_path(std::vector<uint32_t>& ids);

  /// The best and, if there is one, the second-best segmentation, by A* from the end.
  struct TwoBest {
    std::vector<uint32_t> best, second;
    bool has_second = false;
  };
  TwoBest two_best();

 private:
  struct Node {
    uint32_t begin, end, id;
    float score;
    float best;             // score of the best path up to and including the node
    int32_t before;         // node in front of it on that path, or kStart
    int32_t next_same_end;  // in insertion order
  };
  static constexpr int32_t kStart = -1, kNone = -2;

  void link_ends();
  void viterbi();

  uint32_t size_ = 0;
  std::vector<Node> nodes_;
  std::vector<uint32_t> starts_;  // first node of each start that has nodes
  std::vector<float> forward_, backward_;
  std::vector<uint8_t> reached_;
  std::vector<int32_t> first_ending_, last_ending_;
  int32_t last_ = kNone;  // last node of the best path
};

}  // namespace tessera::beit3
