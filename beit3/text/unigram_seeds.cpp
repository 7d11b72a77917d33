// The candidate pieces a Unigram training starts from. The suffixes of the corpus are sorted, but
// only by as many characters as a piece may have, plus the one that follows it: what lies further
// cannot matter, and repetitive corpora stay cheap.

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "beit3/text/trainer_corpus_internal.h"
#include "beit3/text/utf8.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

constexpr char32_t kEndOfSentence = 0;

/// A suffix with the next few symbols, packed so that numeric order is text order.
struct Suffix {
  uint64_t key;
  uint32_t start;
};

class SuffixSorter {
 public:
  SuffixSorter(const std::vector<char32_t>& text, size_t depth) : text_(text), depth_(depth) {
    std::vector<char32_t> symbols = text;
    std::sort(symbols.begin(), symbols.end());
    symbols.erase(std::unique(symbols.begin(), symbols.end()), symbols.end());
    std::unordered_map<char32_t, uint32_t> rank_of;
    for (const char32_t c : symbols) rank_of.emplace(c, static_cast<uint32_t>(rank_of.size()));
    ranks_.reserve(text.size());
    for (const char32_t c : text) ranks_.push_back(rank_of[c]);
    bits_ = std::max(1, static_cast<int>(std::bit_width(symbols.size() - 1)));
    per_key_ = 64 / static_cast<size_t>(bits_);
  }

  /// Starts of all suffixes, ordered by their first `depth` symbols up to the end of the sentence.
  std::vector<Suffix> sort() {
    std::vector<Suffix> suffixes(text_.size());
    for (size_t i = 0; i < suffixes.size(); ++i) suffixes[i].start = static_cast<uint32_t>(i);
    struct Group {
      size_t begin, end, done;
    };
    std::vector<Group> todo{{0, suffixes.size(), 0}};
    while (!todo.empty()) {
      const Group group = todo.back();
      todo.pop_back();
      const auto begin = suffixes.begin() + static_cast<std::ptrdiff_t>(group.begin);
      const auto end = suffixes.begin() + static_cast<std::ptrdiff_t>(group.end);
      for (auto at = begin; at != end; ++at) at->key = key(at->start + group.done);
      std::sort(begin, end, [](const Suffix& a, const Suffix& b) {
        return a.key != b.key ? a.key < b.key : a.start < b.start;
      });
      if (group.done + per_key_ >= depth_) continue;
      for (size_t i = group.begin; i < group.end;) {
        size_t j = i + 1;
        while (j < group.end && suffixes[j].key == suffixes[i].key) ++j;
        if (j > i + 1 && !ends_within(suffixes[i].start + group.done)) {
          todo.push_back({i, j, group.done + per_key_});
        }
        i = j;
      }
    }
    return suffixes;
  }

  /// Symbols that two suffixes share, at most `depth`; a shared end of sentence counts and stops.
  size_t common(size_t a, size_t b) const {
    size_t n = 0;
    while (n < depth_ && a + n < text_.size() && b + n < text_.size() &&
           text_[a + n] == text_[b + n]) {
      if (text_[a + n++] == kEndOfSentence) break;
    }
    return n;
  }

 private:
  uint64_t key(size_t at) const {
    uint64_t packed = 0;
    bool ended = false;
    for (size_t i = 0; i < per_key_; ++i) {
      ended = ended || at + i >= text_.size();
      packed = packed << bits_ | (ended ? 0 : ranks_[at + i]);
      ended = ended || text_[at + i] == kEndOfSentence;
    }
    return packed;
  }

  bool ends_within(size_t at) const {
    for (size_t i = at; i < at + per_key_; ++i) {
      if (i >= text_.size() || text_[i] == kEndOfSentence) return true;
    }
    return false;
  }

  const std::vector<char32_t>& text_;
  size_t depth_, per_key_;
  std::vector<uint32_t> ranks_;
  int bits_;
};

struct Candidate {
  uint32_t start;
  uint32_t length;
  int64_t score;
};

/// Internal nodes of the suffix tree, each after the nodes below it.
std::vector<Candidate> repeated_substrings(const std::vector<char32_t>& text,
                                           const TrainerSpec& spec) {
  const auto max_length = static_cast<size_t>(spec.max_sentencepiece_length);
  SuffixSorter sorter(text, max_length + 1);
  const std::vector<Suffix> suffixes = sorter.sort();
  std::vector<Candidate> found;
  struct Interval {
    size_t depth, left;
  };
  std::vector<Interval> open;
  for (size_t i = 1; i <= suffixes.size(); ++i) {
    const size_t depth =
        i < suffixes.size() ? sorter.common(suffixes[i - 1].start, suffixes[i].start) : 0;
    size_t left = i - 1;
    while (!open.empty() && open.back().depth > depth) {
      const Interval closed = open.back();
      open.pop_back();
      left = closed.left;
      if (closed.depth < 2 || closed.depth > max_length) continue;
      const uint32_t start = suffixes[closed.left].start;
      if (is_admissible(std::u32string_view(&text[start], closed.depth), spec)) {
        const auto occurrences = static_cast<int64_t>(i - closed.left);
        found.push_back({start, static_cast<uint32_t>(closed.depth),
                         occurrences * static_cast<int64_t>(closed.depth)});
      }
    }
    if (depth > 0 && (open.empty() || open.back().depth < depth)) open.push_back({depth, left});
  }
  return found;
}

}  // namespace

std::vector<ScoredText> unigram_seeds(const std::vector<WeightedText>& sentences,
                                      std::span<const WeightedText> words,
                                      const TrainerSpec& spec) {
  std::vector<char32_t> text;
  std::unordered_map<char32_t, int64_t> counts;
  for (const WeightedText& sentence : sentences) {
    for (const char32_t c : to_code_points(sentence.text)) {
      text.push_back(c);
      if (c != kBarrier && c != kEndOfSentence) counts[c] += sentence.count;
    }
    text.push_back(kEndOfSentence);
    check<ValueError>(text.size() < 0xFFFFFFFFu,
                      "train: the corpus has more than 2^32 characters; set input_sentence_size");
  }
  std::vector<std::pair<char32_t, int64_t>> characters(counts.begin(), counts.end());
  std::sort(characters.begin(), characters.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  std::vector<Candidate> substrings = repeated_substrings(text, spec);
  std::stable_sort(substrings.begin(), substrings.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score > b.score; });

  const auto limit = static_cast<size_t>(spec.seed_sentencepiece_size);
  std::vector<ScoredText> seeds;
  float total = 0;
  const auto add = [&](std::string piece, int64_t score) {
    if (seeds.size() >= limit) return;
    seeds.push_back({std::move(piece), static_cast<float>(score)});
    total += seeds.back().score;
  };
  for (const auto& [c, count] : characters) add(to_utf8(std::u32string_view(&c, 1)), count);
  for (const Candidate& s : substrings) {
    add(to_utf8(std::u32string_view(&text[s.start], s.length)), s.score);
  }
  if (!words.empty()) {
    std::unordered_set<std::string> known;
    for (const ScoredText& seed : seeds) known.insert(seed.text);
    for (const WeightedText& word : words) {
      const std::u32string code_points = to_code_points(word.text);
      if (word.count >= 2 && is_admissible(code_points, spec) && !known.contains(word.text)) {
        add(word.text, word.count * static_cast<int64_t>(code_points.size()));
      }
    }
  }
  const auto log_total = static_cast<float>(std::log(static_cast<double>(total)));
  for (ScoredText& seed : seeds) {
    seed.score = static_cast<float>(std::log(static_cast<double>(seed.score)) -
                                    static_cast<double>(log_total));
  }
  return seeds;
}

}  // namespace tessera::beit3
