#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

#include "beit3/text/byte_trie.h"
#include "beit3/text/trainer_corpus_internal.h"
#include "beit3/text/unigram.h"
#include "tensor/base/rng.h"

namespace tessera::beit3 {

/// log(exp(x) + exp(y)). Differences and results have the precision of the arguments, what is
/// between them is f64.
template <class Real>
Real log_sum_exp(Real x, Real y) {
  constexpr Real kNegligible = 50;
  const Real low = std::min(x, y), high = std::max(x, y);
  if (high > low + kNegligible) return high;
  const double ratio = std::exp(static_cast<double>(low - high));
  return static_cast<Real>(static_cast<double>(high) + std::log(ratio + 1.0));
}

/// The pieces that a lattice is made of, ready to match text. Immutable.
class UnigramCandidates {
 public:
  /// The candidates of a training; an uncovered character counts as candidate 0, as in
  /// SentencePiece's trainer. The texts must outlive this.
  explicit UnigramCandidates(const std::vector<ScoredText>& pieces);

  /// The pieces of a finished model. Both arguments must outlive this.
  UnigramCandidates(const SentencePieceModel& model, const UnigramSegmenter& segmenter);

  UnigramCandidates(const UnigramCandidates&) = delete;
  UnigramCandidates& operator=(const UnigramCandidates&) = delete;

  const ByteTrie& trie() const { return *trie_; }
  float score(uint32_t id) const { return scores_[id]; }

  /// What stands for a character that no candidate covers, and its score.
  uint32_t unknown_id() const { return unknown_id_; }
  float unknown_score() const { return unknown_score_; }

 private:
  ByteTrie own_trie_;
  const ByteTrie* trie_;
  std::vector<float> scores_;
  uint32_t unknown_id_ = 0;
  float unknown_score_;
};

/// All ways to cut one text into candidates. Reuse one object for many texts: it keeps its memory.
///
/// Nodes are ordered by start and, at one start, by length. Sums of f32 follow that order; this is
/// part of what makes a training reproducible.
class UnigramLattice {
 public:
  struct Node {
    uint32_t begin, end, id;
    float score;
    float best;             // score of the best path up to and including the node
    int32_t before;         // node in front of it on that path, or kStart
    int32_t next_same_end;  // in insertion order
  };

  /// A segmentation: its nodes from left to right, and the sum of their scores from the right.
  struct Path {
    std::vector<uint32_t> nodes;
    float score = 0;
  };

  void build(std::string_view text, const UnigramCandidates& candidates);

  const Node& node(uint32_t index) const { return nodes_[index]; }

  /// Adds weight * P(candidate is used at a place) for every place to `expected`, by forward and
  /// backward sums; returns the logarithm of the total probability of the text.
  float add_expectations(float weight, std::vector<float>& expected);

  /// The ids of the best segmentation, left to right.
  void best_path(std::vector<uint32_t>& ids);

  /// The n best segmentations, or all if there are fewer, best first, by A* from the end. Paths of
  /// the same score come in no particular order. An empty text has one, without nodes.
  std::vector<Path> best_paths(size_t n);

  /// Over all segmentations, each of weight exp(theta * sum of scores).
  struct Totals {
    double paths = 0;       ///< how many there are
    double log_weight = 0;  ///< logarithm of the sum of the weights
    double entropy = 0;     ///< of the distribution that the weights make, in nats
  };
  Totals totals(double theta) const;

  /// Draws a segmentation with probability proportional to its weight.
  Path sample(double theta, RandomStream& random) const;

 private:
  static constexpr int32_t kStart = -1, kNone = -2;

  void link_ends();
  void viterbi();
  std::vector<double> forward_sums(double theta) const;

  uint32_t size_ = 0;
  std::vector<Node> nodes_;
  std::vector<uint32_t> starts_;  // first node of each start that has nodes
  std::vector<float> forward_, backward_;
  std::vector<uint8_t> reached_;
  std::vector<int32_t> first_ending_, last_ending_;
  int32_t last_ = kNone;  // last node of the best path
};

}  // namespace tessera::beit3
