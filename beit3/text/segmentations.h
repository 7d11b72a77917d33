#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "beit3/text/piece_codec.h"
#include "tensor/base/rng.h"

namespace tessera::beit3 {

class UnigramCandidates;

/// One of several ways to cut a text.
struct ScoredTokens {
  std::vector<PieceToken> tokens;
  float score = 0;             ///< sum of the scores of its pieces, in f32 from the right
  double log_probability = 0;  ///< under the distribution that was asked for
};

/// The distribution over all ways to cut a text, each with weight exp(alpha * sum of scores).
struct SegmentationTotals {
  double paths = 0;       ///< how many ways there are
  double log_weight = 0;  ///< logarithm of the sum of their weights
  double entropy = 0;     ///< of the distribution, in nats
};

/// How a random segmentation is drawn.
struct SegmentationDraw {
  /// Unigram: probabilities are proportional to exp(alpha * score); 0 makes all ways equal, 1 is
  /// the model's own distribution. BPE: probability that a merge is skipped.
  double alpha = 1;
  /// Unigram: draws among so many best ways; 0 among all.
  int64_t among = 0;
};

/// The other ways to cut a text than the best: the n best, random ones, and how probable they are.
/// Training on random segmentations is known as subword regularisation.
///
/// All functions are const, touch nothing shared and may run on many threads.
/// Source: Kudo, arXiv:1804.10959 (Unigram); Provilkov et al., arXiv:1910.13267 (BPE dropout).
class Segmentations {
 public:
  static constexpr int64_t kMostBest = 1024, kMostAmong = 512;

  /// The codec must outlive this. Throws ValueError unless its model is Unigram or BPE.
  explicit Segmentations(const PieceCodec& codec);
  ~Segmentations();

  /// The n best ways, or all if there are fewer, best first; n = 1 gives what `encode_tokens` does.
  /// Ways of equal score come in no particular order; an empty text has one way, without tokens.
  /// Log-probabilities are those of `alpha`.
  /// Throws ValueError unless n is in [1, kMostBest] and the model is Unigram.
  std::vector<ScoredTokens> best(std::string_view text, int64_t n, double alpha = 1) const;

  /// A random way; the same for the same key on every machine.
  /// Throws ValueError unless alpha is at least 0 and `among` is in [0, kMostAmong] (0 for BPE).
  std::vector<PieceToken> sample(std::string_view text, const SegmentationDraw& draw,
                                 RandomKey key) const;

  /// Throws ValueError unless the model is Unigram.
  SegmentationTotals totals(std::string_view text, double alpha) const;

 private:
  const UnigramCandidates& candidates(std::string_view what) const;

  const PieceCodec* codec_;
  std::unique_ptr<const UnigramCandidates> candidates_;  // null for BPE
};

}  // namespace tessera::beit3
