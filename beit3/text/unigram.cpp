#include "beit3/text/unigram.h"

#include <algorithm>
#include <limits>

#include "beit3/text/utf8.h"

namespace tessera::beit3 {
namespace {

struct BestPath {
  float score;
  uint32_t start;
  int32_t id;
};
constexpr int32_t kUnreached = -1;

}  // namespace

UnigramSegmenter::UnigramSegmenter(const SentencePieceModel& model, int32_t unknown_id)
    : scores_(model.pieces.size()), unknown_id_(unknown_id) {
  float min_score = std::numeric_limits<float>::max();
  // The smallest positive number, not the most negative one: with the usual negative scores a
  // user-defined symbol is worth -0.1 whatever its length.
  max_score_ = std::numeric_limits<float>::min();
  for (const Piece& piece : model.pieces) {
    if (piece.type != PieceType::kNormal) continue;
    min_score = std::min(min_score, piece.score);
    max_score_ = std::max(max_score_, piece.score);
  }
  unknown_score_ = min_score - kUnknownPenalty;
  std::vector<ByteTrie::Entry> entries;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const Piece& piece = model.pieces[id];
    scores_[id] = piece.score;
    if (piece.type == PieceType::kUserDefined) {
      scores_[id] = user_symbol_score(piece.text.size(), max_score_);
    }
    if (piece.type == PieceType::kNormal || piece.type == PieceType::kUserDefined) {
      entries.push_back({piece.text, static_cast<uint32_t>(id)});
    }
  }
  trie_ = ByteTrie(std::move(entries));
}

void UnigramSegmenter::segment(std::string_view text, std::vector<Segment>& out) const {
  const size_t size = text.size();
  if (size == 0) return;
  std::vector<BestPath> best(size + 1, {0.0f, 0, kUnreached});
  for (size_t i = 0; i < size;) {
    const float base = best[i].score;
    const size_t character_bytes = lead_length(text[i], size - i);
    bool covered = false;
    trie_.for_each_prefix(text.data() + i, size - i, [&](uint32_t id, size_t bytes) {
      BestPath& end = best[i + bytes];
      const double candidate = scores_[id] + static_cast<double>(base);
      if (end.id == kUnreached || candidate > static_cast<double>(end.score)) {
        end = {static_cast<float>(candidate), static_cast<uint32_t>(i), static_cast<int32_t>(id)};
      }
      covered |= bytes == character_bytes;
    });
    if (!covered) {
      BestPath& end = best[i + character_bytes];
      const float candidate = unknown_score_ + base;
      if (end.id == kUnreached || candidate > end.score) {
        end = {candidate, static_cast<uint32_t>(i), unknown_id_};
      }
    }
    i += character_bytes;
  }
  const size_t first = out.size();
  for (size_t end = size; end > 0; end = best[end].start) {
    out.push_back({best[end].start, static_cast<uint32_t>(end), best[end].id});
  }
  std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
}

}  // namespace tessera::beit3
