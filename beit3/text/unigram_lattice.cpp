#include <limits>

#include "beit3/text/unigram_lattice_internal.h"
#include "beit3/text/utf8.h"

namespace tessera::beit3 {

UnigramCandidates::UnigramCandidates(const std::vector<ScoredText>& pieces) : trie_(&own_trie_) {
  float min_score = std::numeric_limits<float>::max();
  std::vector<ByteTrie::Entry> entries;
  entries.reserve(pieces.size());
  for (const ScoredText& piece : pieces) {
    entries.push_back({piece.text, static_cast<uint32_t>(entries.size())});
    scores_.push_back(piece.score);
    min_score = std::min(min_score, piece.score);
  }
  unknown_score_ = min_score - kUnknownPenalty;
  own_trie_ = ByteTrie(std::move(entries));
}

UnigramCandidates::UnigramCandidates(const SentencePieceModel& model,
                                     const UnigramSegmenter& segmenter)
    : trie_(&segmenter.trie()),
      unknown_id_(static_cast<uint32_t>(segmenter.unknown_id())),
      unknown_score_(segmenter.unknown_score()) {
  scores_.reserve(model.pieces.size());
  for (const Piece& piece : model.pieces) {
    // A user-defined symbol counts its characters here, its bytes in UnigramSegmenter.
    const bool symbol = piece.type == PieceType::kUserDefined;
    scores_.push_back(symbol ? static_cast<float>(user_symbol_score(character_count(piece.text),
                                                                    segmenter.max_score()))
                             : piece.score);
  }
}

void UnigramLattice::build(std::string_view text, const UnigramCandidates& candidates) {
  size_ = static_cast<uint32_t>(text.size());
  nodes_.clear();
  starts_.clear();
  for (uint32_t i = 0; i < size_;) {
    const auto character = static_cast<uint32_t>(lead_length(text[i], size_ - i));
    starts_.push_back(static_cast<uint32_t>(nodes_.size()));
    bool covered = false;
    candidates.trie().for_each_prefix(text.data() + i, size_ - i, [&](uint32_t id, size_t bytes) {
      nodes_.push_back({.begin = i,
                        .end = i + static_cast<uint32_t>(bytes),
                        .id = id,
                        .score = candidates.score(id),
                        .best = 0,
                        .before = kNone,
                        .next_same_end = kNone});
      covered |= bytes == character;
    });
    if (!covered) {
      nodes_.push_back({.begin = i,
                        .end = i + character,
                        .id = candidates.unknown_id(),
                        .score = candidates.unknown_score(),
                        .best = 0,
                        .before = kNone,
                        .next_same_end = kNone});
    }
    i += character;
  }
}

float UnigramLattice::add_expectations(float weight, std::vector<float>& expected) {
  forward_.assign(size_ + 1, 0.0f);
  backward_.assign(size_ + 1, 0.0f);
  reached_.assign(size_ + 1, 0);
  // Nodes are ordered by start: when a node is met, all nodes that end at its start were added.
  for (const Node& node : nodes_) {
    const float path = node.score + forward_[node.begin];
    float& sum = forward_[node.end];
    sum = reached_[node.end] ? log_sum_exp(sum, path) : path;
    reached_[node.end] = 1;
  }
  size_t end = nodes_.size();
  for (size_t s = starts_.size(); s-- > 0; end = starts_[s]) {
    float sum = 0;
    for (size_t i = starts_[s]; i < end; ++i) {
      const float path = nodes_[i].score + backward_[nodes_[i].end];
      sum = i == starts_[s] ? path : log_sum_exp(sum, path);
    }
    backward_[nodes_[starts_[s]].begin] = sum;
  }
  const float total = forward_[size_];
  for (const Node& node : nodes_) {
    const float x = forward_[node.begin] + node.score + backward_[node.end] - total;
    float& sum = expected[node.id];
    sum = static_cast<float>(static_cast<double>(sum) +
                             static_cast<double>(weight) * std::exp(static_cast<double>(x)));
  }
  return total;
}

void UnigramLattice::link_ends() {
  first_ending_.assign(size_ + 1, kNone);
  last_ending_.assign(size_ + 1, kNone);
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const auto index = static_cast<int32_t>(i);
    const uint32_t end = nodes_[i].end;
    if (first_ending_[end] == kNone) {
      first_ending_[end] = index;
    } else {
      nodes_[static_cast<size_t>(last_ending_[end])].next_same_end = index;
    }
    last_ending_[end] = index;
  }
}

void UnigramLattice::viterbi() {
  link_ends();
  const auto best_before = [&](uint32_t begin, float score, float& best) {
    int32_t before = kStart;
    best = score;
    bool found = begin == 0;
    for (int32_t i = first_ending_[begin]; i >= 0;) {
      const Node& left = nodes_[static_cast<size_t>(i)];
      const float sum = left.best + score;
      if (!found || sum > best) {
        best = sum;
        before = i;
        found = true;
      }
      i = left.next_same_end;
    }
    return before;
  };
  for (Node& node : nodes_) node.before = best_before(node.begin, node.score, node.best);
  float total = 0;
  last_ = best_before(size_, 0.0f, total);
}

void UnigramLattice::best_path(std::vector<uint32_t>& ids) {
  ids.clear();
  if (nodes_.empty()) return;
  viterbi();
  for (int32_t i = last_; i >= 0; i = nodes_[static_cast<size_t>(i)].before) {
    ids.push_back(nodes_[static_cast<size_t>(i)].id);
  }
  std::reverse(ids.begin(), ids.end());
}

std::vector<UnigramLattice::Path> UnigramLattice::best_paths(size_t n) {
  // A hypothesis is a path from some node to the end; `so_far` is its score, `promise` the best
  // score of a whole path through it, known exactly from the forward Viterbi pass.
  struct Hypothesis {
    int32_t node, rest;
    float promise, so_far;
  };
  constexpr size_t kAgendaLimit = 10000, kMostKept = 512;
  const size_t agenda_kept = std::min(kMostKept, 10 * n);
  if (nodes_.empty()) return {Path{}};
  viterbi();
  std::vector<Path> paths;
  std::vector<Hypothesis> made;
  std::vector<int32_t> agenda;  // a heap
  const auto less = [&](int32_t a, int32_t b) {
    return made[static_cast<size_t>(a)].promise < made[static_cast<size_t>(b)].promise;
  };
  const auto push = [&](const Hypothesis& h) {
    made.push_back(h);
    agenda.push_back(static_cast<int32_t>(made.size()) - 1);
    std::push_heap(agenda.begin(), agenda.end(), less);
  };
  const auto extend = [&](uint32_t begin, int32_t rest, float so_far) {
    if (begin == 0) {
      push({kStart, rest, so_far, so_far});
      return;
    }
    for (int32_t i = first_ending_[begin]; i >= 0;) {
      const Node& left = nodes_[static_cast<size_t>(i)];
      push({i, rest, left.best + so_far, left.score + so_far});
      i = left.next_same_end;
    }
  };
  extend(size_, kNone, 0.0f);
  while (!agenda.empty()) {
    std::pop_heap(agenda.begin(), agenda.end(), less);
    const int32_t top = agenda.back();
    agenda.pop_back();
    const Hypothesis h = made[static_cast<size_t>(top)];
    if (h.node == kStart) {
      Path& path = paths.emplace_back();
      path.score = h.so_far;
      for (int32_t i = h.rest; i >= 0; i = made[static_cast<size_t>(i)].rest) {
        path.nodes.push_back(static_cast<uint32_t>(made[static_cast<size_t>(i)].node));
      }
      if (paths.size() == n) break;
      continue;
    }
    extend(nodes_[static_cast<size_t>(h.node)].begin, top, h.so_far);
    if (agenda.size() >= kAgendaLimit) {
      std::vector<int32_t> kept;
      while (kept.size() < agenda_kept) {
        std::pop_heap(agenda.begin(), agenda.end(), less);
        kept.push_back(agenda.back());
        agenda.pop_back();
      }
      agenda.clear();
      for (const int32_t i : kept) {
        agenda.push_back(i);
        std::push_heap(agenda.begin(), agenda.end(), less);
      }
    }
  }
  return paths;
}

}  // namespace tessera::beit3
