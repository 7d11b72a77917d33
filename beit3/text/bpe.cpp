#include "beit3/text/bpe.h"

#include <algorithm>
#include <bit>

#include "beit3/text/utf8.h"

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
  std::unordered_map<std::string_view, int32_t> reserved;
  atoms_.reserve(model.pieces.size());
  for (size_t i = 0; i < model.pieces.size(); ++i) {
    const Piece& piece = model.pieces[i];
    atom_bytes_.push_back(static_cast<uint32_t>(piece.text.size()));
    atom_ids_.push_back(static_cast<int32_t>(i));
    if (is_reserved(piece.type)) {
      reserved[piece.text] = static_cast<int32_t>(i);
      continue;
    }
    atoms_[piece.text] = static_cast<Atom>(i);
    if (piece.type == PieceType::kUserDefined) {
      symbols.push_back({piece.text, static_cast<uint32_t>(i)});
    }
    has_unused_ |= piece.type == PieceType::kUnused;
  }
  symbols_ = ByteTrie(std::move(symbols));
  if (merges_) index_merges();
  // A text that a reserved piece has, too, comes out as that one.
  for (const auto& [text, id] : reserved) {
    if (const auto found = atoms_.find(text); found != atoms_.end()) {
      atom_ids_[found->second] = id;
    } else if (is_character(text)) {
      atom_ids_[add_character(text)] = id;
    }
  }
  std::vector<ByteTrie::Entry> characters;
  std::fill(std::begin(ascii_), std::end(ascii_), kNoAtom);
  for (const auto& [text, atom] : atoms_) {
    if (!is_character(text)) continue;
    characters.push_back({text, atom});
    const auto lead = static_cast<unsigned char>(text[0]);
    if (text.size() == 1 && lead < 128) ascii_[lead] = atom;
  }
  characters_ = ByteTrie(std::move(characters));
}

BpeSegmenter::Atom BpeSegmenter::add_character(std::string_view text) {
  const auto atom = static_cast<Atom>(atom_bytes_.size());
  atoms_[text] = atom;
  atom_bytes_.push_back(static_cast<uint32_t>(text.size()));
  atom_ids_.push_back(unknown_id_);
  return atom;
}

void BpeSegmenter::index_merges() {
  struct Split {
    Parts parts;
    int32_t piece;
  };
  std::vector<Split> splits;
  const auto atom_of = [&](std::string_view text) {
    if (const auto found = atoms_.find(text); found != atoms_.end()) return found->second;
    return is_character(text) ? add_character(text) : kNoAtom;
  };
  for (size_t i = 0; i < model_->pieces.size(); ++i) {
    if (is_reserved(model_->pieces[i].type)) continue;
    const std::string_view text = model_->pieces[i].text;
    size_t at = lead_length(text[0], text.size());
    while (at < text.size()) {
      const Atom left = atom_of(text.substr(0, at));
      const Atom right = left != kNoAtom ? atom_of(text.substr(at)) : kNoAtom;
      if (right != kNoAtom) splits.push_back({{left, right}, static_cast<int32_t>(i)});
      at += lead_length(text[at], text.size() - at);
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
      const ByteTrie::Match character = characters_.longest_prefix(text.substr(at, symbol.bytes));
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
    if (left.bytes == 0 || right.bytes == 0 || left.bytes + right.bytes != atom_bytes_[atom]) {
      continue;
    }
    if (dropout.random != nullptr && dropout.random->chance(dropout.probability)) continue;
    left.bytes = atom_bytes_[atom];
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
          const uint32_t left_bytes = atom_bytes_[split->second.left];
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
