#include "beit3/text/bpe.h"

#include <queue>

#include "beit3/text/utf8.h"

namespace tessera::beit3 {
namespace {

constexpr int64_t kNobody = -1;

/// A link of the chain of symbols; `bytes` is 0 once it was merged into its left neighbour.
struct Symbol {
  uint32_t begin, bytes;
  int64_t previous, next;
  bool frozen;
};

struct Merge {
  float score;
  int64_t left, right;
  uint32_t bytes;  // of both together when the merge was proposed

  /// For the priority queue: true if `other` goes first.
  bool operator<(const Merge& other) const {
    return score < other.score || (score == other.score && left > other.left);
  }
};

bool is_reserved(PieceType type) {
  return type == PieceType::kUnknown || type == PieceType::kControl || type == PieceType::kByte;
}

}  // namespace

BpeSegmenter::BpeSegmenter(const SentencePieceModel& model, int32_t unknown_id, bool merges)
    : model_(&model), unknown_id_(unknown_id), merges_(merges) {
  std::vector<ByteTrie::Entry> symbols;
  for (size_t i = 0; i < model.pieces.size(); ++i) {
    const Piece& piece = model.pieces[i];
    const auto id = static_cast<int32_t>(i);
    if (is_reserved(piece.type)) {
      named_[piece.text] = id;
      continue;
    }
    ids_[piece.text] = id;
    if (piece.type == PieceType::kUserDefined) {
      symbols.push_back({piece.text, static_cast<uint32_t>(i)});
    }
  }
  for (const auto& [text, id] : ids_) named_.try_emplace(text, id);
  symbols_ = ByteTrie(std::move(symbols));
}

void BpeSegmenter::segment(std::string_view text, std::vector<Segment>& out) const {
  if (text.empty()) return;
  std::vector<Symbol> symbols;
  symbols.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const ByteTrie::Match match = symbols_.longest_prefix(text.substr(at));
    const bool frozen = match.bytes > 0;
    const size_t bytes = frozen ? match.bytes : lead_length(text[at], text.size() - at);
    const auto index = static_cast<int64_t>(symbols.size());
    symbols.push_back(
        {static_cast<uint32_t>(at), static_cast<uint32_t>(bytes), index - 1, index + 1, frozen});
    at += bytes;
  }
  symbols.back().next = kNobody;

  const auto at = [&](int64_t i) -> Symbol& { return symbols[static_cast<size_t>(i)]; };
  std::priority_queue<Merge> agenda;
  // How an UNUSED piece came about, to take it apart again: its text to the size of its left part.
  std::unordered_map<std::string_view, uint32_t> parts;
  const auto propose = [&](int64_t left, int64_t right) {
    if (left == kNobody || right == kNobody || at(left).frozen || at(right).frozen) return;
    const uint32_t bytes = at(left).bytes + at(right).bytes;
    const std::string_view joined = text.substr(at(left).begin, bytes);
    const auto found = ids_.find(joined);
    if (found == ids_.end()) return;
    const Piece& piece = model_->pieces[static_cast<size_t>(found->second)];
    agenda.push({piece.score, left, right, bytes});
    if (piece.type == PieceType::kUnused) parts[joined] = at(left).bytes;
  };
  if (merges_) {
    for (size_t i = 1; i < symbols.size(); ++i) {
      propose(static_cast<int64_t>(i) - 1, static_cast<int64_t>(i));
    }
  }
  while (!agenda.empty()) {
    const Merge merge = agenda.top();
    agenda.pop();
    Symbol& left = at(merge.left);
    Symbol& right = at(merge.right);
    if (left.bytes == 0 || right.bytes == 0 || left.bytes + right.bytes != merge.bytes) continue;
    left.bytes = merge.bytes;
    left.next = right.next;
    if (right.next != kNobody) at(right.next).previous = merge.left;
    right.bytes = 0;
    propose(left.previous, merge.left);
    propose(merge.left, left.next);
  }

  std::vector<std::pair<uint32_t, uint32_t>> open;  // begin, bytes; a stack
  for (int64_t i = 0; i != kNobody; i = at(i).next) {
    open.emplace_back(at(i).begin, at(i).bytes);
    while (!open.empty()) {
      const auto [begin, bytes] = open.back();
      open.pop_back();
      const std::string_view piece = text.substr(begin, bytes);
      const auto found = named_.find(piece);
      const int32_t id = found == named_.end() ? unknown_id_ : found->second;
      if (found != named_.end() &&
          model_->pieces[static_cast<size_t>(id)].type == PieceType::kUnused) {
        if (const auto split = parts.find(piece); split != parts.end()) {
          open.emplace_back(begin + split->second, bytes - split->second);
          open.emplace_back(begin, split->second);
          continue;
        }
      }
      out.push_back({begin, begin + bytes, id});
    }
  }
}

}  // namespace tessera::beit3
