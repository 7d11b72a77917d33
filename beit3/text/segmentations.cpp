#include "beit3/text/segmentations.h"

#include <algorithm>

#include "beit3/text/bpe.h"
#include "beit3/text/unigram_lattice_internal.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

std::vector<Segment> segments_of(const UnigramLattice& lattice, const UnigramLattice::Path& path) {
  std::vector<Segment> segments;
  segments.reserve(path.nodes.size());
  for (const uint32_t index : path.nodes) {
    const UnigramLattice::Node& node = lattice.node(index);
    segments.push_back({node.begin, node.end, static_cast<int32_t>(node.id)});
  }
  return segments;
}

/// The sum of a path's scores, free of f32 rounding.
double exact_score(const UnigramLattice& lattice, const UnigramLattice::Path& path) {
  double sum = 0;
  for (const uint32_t index : path.nodes) sum += static_cast<double>(lattice.node(index).score);
  return sum;
}

/// One of the paths, with probability proportional to exp(alpha * score).
const UnigramLattice::Path& draw_path(const std::vector<UnigramLattice::Path>& paths, double alpha,
                                      RandomStream& random) {
  // The best path comes first: no exponential overflows, and the largest is 1.
  std::vector<double> weights;
  double total = 0;
  for (const UnigramLattice::Path& path : paths) {
    weights.push_back(std::exp(alpha * static_cast<double>(path.score - paths[0].score)));
    total += weights.back();
  }
  double left = random.uniform() * total;
  for (size_t i = 0; i + 1 < paths.size(); ++i) {
    left -= weights[i];
    if (left < 0) return paths[i];
  }
  return paths.back();
}

}  // namespace

Segmentations::Segmentations(const PieceCodec& codec) : codec_(&codec) {
  check<ValueError>(codec.unigram() != nullptr || codec.bpe() != nullptr,
                    "segmentations: a model of words cuts a text in one way only; use a Unigram or "
                    "BPE model");
  if (codec.unigram() != nullptr) {
    candidates_ = std::make_unique<UnigramCandidates>(codec.model(), *codec.unigram());
  }
}

Segmentations::~Segmentations() = default;

const UnigramCandidates& Segmentations::candidates(std::string_view what) const {
  check<ValueError>(candidates_ != nullptr,
                    "segmentations: {} needs a Unigram model, but this is a BPE or CHAR one", what);
  return *candidates_;
}

std::vector<ScoredTokens> Segmentations::best(std::string_view text, int64_t n,
                                              double alpha) const {
  check<ValueError>(n >= 1 && n <= kMostBest, "segmentations: n is {}; expected 1 … {}", n,
                    kMostBest);
  const UnigramCandidates& pieces = candidates("n-best");
  const NormalizedText normalized = codec_->normalizer().normalize(text);
  UnigramLattice lattice;
  lattice.build(normalized.text, pieces);
  const double log_weight = lattice.totals(alpha).log_weight;
  std::vector<ScoredTokens> ways;
  for (const UnigramLattice::Path& path : lattice.best_paths(static_cast<size_t>(n))) {
    ways.push_back({codec_->tokens_of(normalized, segments_of(lattice, path)), path.score,
                    alpha * exact_score(lattice, path) - log_weight});
  }
  // The plain encoder may break a tie the other way.
  if (n == 1) ways[0].tokens = codec_->encode_tokens(text);
  return ways;
}

std::vector<PieceToken> Segmentations::sample(std::string_view text, const SegmentationDraw& draw,
                                              RandomKey key) const {
  check<ValueError>(draw.alpha >= 0, "segmentations: alpha is {}; expected 0 or more", draw.alpha);
  check<ValueError>(draw.among >= 0 && draw.among <= kMostAmong,
                    "segmentations: among is {}; expected 0 … {}", draw.among, kMostAmong);
  RandomStream random(key);
  const NormalizedText normalized = codec_->normalizer().normalize(text);
  if (!candidates_) {
    check<ValueError>(draw.among == 0,
                      "segmentations: a BPE model has no n-best list to draw from");
    std::vector<Segment> segments;
    codec_->bpe()->segment(normalized.text, segments, {draw.alpha, &random});
    return codec_->tokens_of(normalized, segments);
  }
  UnigramLattice lattice;
  lattice.build(normalized.text, *candidates_);
  if (draw.among == 0) {
    return codec_->tokens_of(normalized, segments_of(lattice, lattice.sample(draw.alpha, random)));
  }
  const auto paths = lattice.best_paths(static_cast<size_t>(draw.among));
  return codec_->tokens_of(normalized, segments_of(lattice, draw_path(paths, draw.alpha, random)));
}

SegmentationTotals Segmentations::totals(std::string_view text, double alpha) const {
  const UnigramCandidates& pieces = candidates("the distribution over segmentations");
  UnigramLattice lattice;
  lattice.build(codec_->normalizer().normalize_text(text), pieces);
  const UnigramLattice::Totals totals = lattice.totals(alpha);
  return {totals.paths, totals.log_weight, totals.entropy};
}

}  // namespace tessera::beit3
