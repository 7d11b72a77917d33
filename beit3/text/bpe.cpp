#include "beit3/text/bpe.h"

#include <algorithm>
#include <bit>
#include <string>
#include <unordered_map>

#include "beit3/text/utf8.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

constexpr uint32_t kNobody = 0xFFFFFFFF;

struct Merge {
  float score;
  uint32_t left, right;
  int32_t piece;

  /// For a heap: true if `other` goes first.
  bool operator<(const Merge& other) const {
    return score < other.score || (score == other.score && left > other.left);
  }
};

bool is_character(std::string_view text) {
  return lead_length(text[0], text.size()) == text.size();
}

}  // namespace

/// A link of the chain of symbols; `bytes` is 0 once it was merged into its left neighbour.
struct BpeSegmenter::Symbol {
  uint32_t begin, bytes;
  uint32_t previous, next;
  Atom atom;
  bool frozen;
};

void BpeSegmenter::PairTable::reserve(size_t pairs) {
  const int bits = std::max(1, static_cast<int>(std::bit_width(2 * pairs)));  // at most half full
  entries_.assign(size_t{1} << bits, {});
  shift_ = 64 - bits;
}

void BpeSegmenter::PairTable::insert(Atom left, Atom right, int32_t piece) {
  size_t at = slot(left, right);
  while (entries_[at].piece != kNoPiece) at = (at + 1) & (entries_.size() - 1);
  entries_[at] = {left, right, piece};
}

BpeSegmenter::BpeSegmenter(const SentencePieceModel& model, int32_t unknown_id, bool merges)
    : model_(&model), unknown_id_(unknown_id), merges_(merges) {
  std::vector<ByteTrie::Entry> symbols;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const Piece& piece = model.pieces[id];
    has_unused_ |= piece.type == PieceType::kUnused;
    if (piece.type != PieceType::kUserDefined) continue;
    symbols.push_back({piece.text, static_cast<uint32_t>(id)});
  }
  symbols_ = ByteTrie(std::move(symbols));
  index_atoms();
  if (merges_) index_merges();
}

/// Pieces that can match, and the characters that pieces begin and end with.
void BpeSegmenter::index_atoms() {
  std::unordered_map<std::string_view, Atom> characters;
  std::vector<std::string_view> further;  // characters that are no pieces
  const auto add_character = [&](std::string_view text) {
    const auto next = static_cast<Atom>(model_->pieces.size() + further.size());
    if (characters.try_emplace(text, next).second) further.push_back(text);
  };
  for (size_t id = 0; id < model_->pieces.size(); ++id) {
    const Piece& piece = model_->pieces[id];
    const bool matches = !is_reserved(piece.type);
    atom_texts_.push_back(matches ? piece.text : std::string_view());
    atom_ids_.push_back(static_cast<int32_t>(id));
    if (matches && is_character(piece.text)) characters[piece.text] = static_cast<Atom>(id);
  }
  for (const Piece& piece : model_->pieces) {
    const std::string_view text = piece.text;
    if (is_reserved(piece.type)) {
      if (is_character(text)) add_character(text);
      continue;
    }
    size_t last = 0, at = 0;
    for (; at < text.size(); at += lead_length(text[at], text.size() - at)) last = at;
    add_character(text.substr(0, lead_length(text[0], text.size())));
    add_character(text.substr(last));
  }
  for (const std::string_view text : further) {
    atom_texts_.push_back(text);
    atom_ids_.push_back(unknown_id_);
  }
  check<IoError>(atom_texts_.size() < ByteTrie::kNoValue,
                 "load_model: {} pieces and characters; a BPE model may have at most {}",
                 atom_texts_.size(), ByteTrie::kNoValue - 1);

  std::vector<ByteTrie::Entry> entries;
  for (Atom atom = 0; atom < atom_texts_.size(); ++atom) {
    if (!atom_texts_[atom].empty()) entries.push_back({atom_texts_[atom], atom});
  }
  atoms_ = ByteTrie(std::move(entries));
  // A text that a reserved piece has, too, comes out as that one.
  for (size_t id = 0; id < model_->pieces.size(); ++id) {
    if (!is_reserved(model_->pieces[id].type)) continue;
    const std::string_view text = model_->pieces[id].text;
    const ByteTrie::Match same = atoms_.longest_prefix(text);
    if (same.bytes == text.size()) atom_ids_[same.value] = static_cast<int32_t>(id);
  }
  for (int c = 0; c < 128; ++c) {
    const auto byte = static_cast<char>(c);
    ascii_[c] = kNoAtom;
    atoms_.for_each_prefix(&byte, 1, [&](uint32_t atom, size_t) { ascii_[c] = atom; });
  }
}

/// Every cut of a piece into two atoms is a merge. Both tries are walked once a piece, so that the
/// time is linear in the size of the model, whatever its pieces.
void BpeSegmenter::index_merges() {
  std::vector<std::string> reversed;
  std::vector<ByteTrie::Entry> entries;
  reversed.reserve(atom_texts_.size());
  for (const std::string_view text : atom_texts_) reversed.emplace_back(text.rbegin(), text.rend());
  for (Atom atom = 0; atom < reversed.size(); ++atom) {
    if (!reversed[atom].empty()) entries.push_back({reversed[atom], atom});
  }
  const ByteTrie endings(std::move(entries));
  struct Split {
    Parts parts;
    int32_t piece;
  };
  std::vector<Split> splits;
  std::vector<Atom> before, behind;  // the atoms that end, and begin, at each byte of a piece
  for (size_t id = 0; id < model_->pieces.size(); ++id) {
    const std::string_view text = atom_texts_[id];
    before.assign(text.size() + 1, kNoAtom);
    behind.assign(text.size() + 1, kNoAtom);
    atoms_.for_each_prefix(text.data(), text.size(),
                           [&](uint32_t atom, size_t bytes) { before[bytes] = atom; });
    endings.for_each_prefix(reversed[id].data(), text.size(), [&](uint32_t atom, size_t bytes) {
      behind[text.size() - bytes] = atom;
    });
    for (size_t at = 0; at < text.size(); at += lead_length(text[at], text.size() - at)) {
      if (before[at] == kNoAtom || behind[at] == kNoAtom) continue;
      check<IoError>(splits.size() < kMaxMerges,
                     "load_model: the pieces make more than {} merges; is it a BPE model?",
                     kMaxMerges);
      splits.push_back({{before[at], behind[at]}, static_cast<int32_t>(id)});
    }
  }
  pairs_.reserve(splits.size());
  for (const Split& s : splits) pairs_.insert(s.parts.left, s.parts.right, s.piece);
}

void BpeSegmenter::split_into_symbols(std::string_view text, std::vector<Symbol>& symbols) const {
  symbols.reserve(text.size());
  for (uint32_t at = 0; at < text.size();) {
    const auto index = static_cast<uint32_t>(symbols.size());
    Symbol symbol{at, 0, index - 1, index + 1, kNoAtom, false};
    const auto lead = static_cast<unsigned char>(text[at]);
    if (const ByteTrie::Match match = symbols_.longest_prefix(text.substr(at)); match.bytes > 0) {
      symbol.bytes = static_cast<uint32_t>(match.bytes);
      symbol.atom = match.value;
      symbol.frozen = true;
    } else if (lead < 128) {
      symbol.bytes = 1;
      symbol.atom = ascii_[lead];
    } else {
      symbol.bytes = static_cast<uint32_t>(lead_length(text[at], text.size() - at));
      const ByteTrie::Match character = atoms_.longest_prefix(text.substr(at, symbol.bytes));
      if (character.bytes == symbol.bytes) symbol.atom = character.value;
    }
    symbols.push_back(symbol);
    at += symbol.bytes;
  }
  symbols.front().previous = kNobody;
  symbols.back().next = kNobody;
}

void BpeSegmenter::segment(std::string_view text, std::vector<Segment>& out,
                           BpeDropout dropout) const {
  if (text.empty()) return;
  std::vector<Symbol> symbols;
  split_into_symbols(text, symbols);

  std::vector<Merge> agenda;              // a heap
  std::unordered_map<Atom, Parts> parts;  // how an UNUSED piece came about, to take it apart again
  const auto propose = [&](uint32_t left, uint32_t right) {
    if (left == kNobody || right == kNobody) return false;
    const Symbol &l = symbols[left], &r = symbols[right];
    if (l.frozen || r.frozen || l.atom == kNoAtom || r.atom == kNoAtom) return false;
    const int32_t piece = pairs_.find(l.atom, r.atom);
    if (piece == PairTable::kNoPiece) return false;
    const Piece& joined = model_->pieces[static_cast<size_t>(piece)];
    agenda.push_back({joined.score, left, right, piece});
    if (has_unused_ && joined.type == PieceType::kUnused) {
      parts[static_cast<Atom>(piece)] = {l.atom, r.atom};
    }
    return true;
  };
  const auto propose_later = [&](uint32_t left, uint32_t right) {
    if (propose(left, right)) std::push_heap(agenda.begin(), agenda.end());
  };
  if (merges_) {
    agenda.reserve(2 * symbols.size());
    for (uint32_t i = 1; i < symbols.size(); ++i) propose(i - 1, i);
    std::make_heap(agenda.begin(), agenda.end());
  }
  while (!agenda.empty()) {
    const Merge merge = agenda.front();
    std::pop_heap(agenda.begin(), agenda.end());
    agenda.pop_back();
    Symbol& left = symbols[merge.left];
    Symbol& right = symbols[merge.right];
    const auto atom = static_cast<Atom>(merge.piece);
    const auto bytes = static_cast<uint32_t>(atom_texts_[atom].size());
    if (left.bytes == 0 || right.bytes == 0 || left.bytes + right.bytes != bytes) continue;
    if (dropout.random != nullptr && dropout.random->chance(dropout.probability)) continue;
    left.bytes = bytes;
    left.atom = atom;
    left.next = right.next;
    if (right.next != kNobody) symbols[right.next].previous = merge.left;
    right.bytes = 0;
    propose_later(left.previous, merge.left);
    propose_later(merge.left, left.next);
  }

  struct Open {
    uint32_t begin, bytes;
    Atom atom;
  };
  std::vector<Open> open;  // a stack: an UNUSED piece and, instead of it, its parts
  for (uint32_t i = 0; i != kNobody; i = symbols[i].next) {
    open.push_back({symbols[i].begin, symbols[i].bytes, symbols[i].atom});
    while (!open.empty()) {
      const Open top = open.back();
      open.pop_back();
      const int32_t id = top.atom == kNoAtom ? unknown_id_ : atom_ids_[top.atom];
      if (has_unused_ && model_->pieces[static_cast<size_t>(id)].type == PieceType::kUnused) {
        if (const auto split = parts.find(top.atom); split != parts.end()) {
          const auto left_bytes = static_cast<uint32_t>(atom_texts_[split->second.left].size());
          open.push_back({top.begin + left_bytes, top.bytes - left_bytes, split->second.right});
          open.push_back({top.begin, left_bytes, split->second.left});
          continue;
        }
      }
      out.push_back({top.begin, top.begin + top.bytes, id});
    }
  }
}

}  // namespace tessera::beit3
