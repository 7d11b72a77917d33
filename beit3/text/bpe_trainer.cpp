#include "beit3/text/bpe_trainer.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "beit3/text/trainer_corpus_internal.h"
#include "beit3/text/utf8.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

constexpr int32_t kMerged = -1;    // belongs to the symbol on its left
constexpr int32_t kBoundary = -2;  // between words, or a character that no piece may hold
constexpr int32_t kNoPair = -1;

/// The corpus as one row of symbols, and the pairs of neighbours in it.
///
/// A symbol is a character or a merged pair: the same text reached by two different merges is two
/// symbols.
class BpeTraining {
 public:
  BpeTraining(const std::vector<WeightedText>& words, const TrainerOptions& options)
      : options_(options) {
    std::unordered_map<char32_t, int32_t> symbol_of;
    append(kBoundary, 0);
    for (const WeightedText& word : words) {
      for (const char32_t c : to_code_points(word.text)) {
        if (c == kBarrier) {
          append(kBoundary, 0);
          continue;
        }
        const auto [at, is_new] = symbol_of.try_emplace(c, static_cast<int32_t>(symbols_.size()));
        if (is_new) symbols_.emplace_back(1, c);
        append(at->second, word.count);
      }
      append(kBoundary, 0);
      check<ValueError>(row_.size() < 0xFFFFFFFFu,
                        "train: the corpus has more than 2^32 characters; set input_sentence_size");
    }
    for (uint32_t at = 1; at + 1 < row_.size(); ++at) add_pair(at, at + 1);
    recount_touched();
  }

  /// Merges the most frequent pair whose text is not a piece yet, and returns that text; nothing if
  /// no pair is left.
  std::optional<std::u32string> next() {
    while (!agenda_.empty()) {
      std::pop_heap(agenda_.begin(), agenda_.end(), later());
      const Candidate top = agenda_.back();
      agenda_.pop_back();
      Pair& pair = pairs_[static_cast<size_t>(top.pair)];
      if (pair.done || top.frequency != pair.frequency) continue;  // an outdated entry
      pair.done = true;
      if (!pieces_.insert(pair.text).second) continue;  // reached by other merges before
      std::u32string text = pair.text;
      const std::vector<uint32_t> positions = std::move(pair.positions);
      merge(pair.left, pair.right, positions, text);  // adds pairs: `pair` is gone
      return text;
    }
    return std::nullopt;
  }

 private:
  struct Pair {
    int32_t left, right;
    std::u32string text;
    std::vector<uint32_t> positions;  // of the left symbol, ascending; some may be outdated
    int64_t frequency = 0;
    bool touched = false, done = false;
  };
  struct Candidate {
    int64_t frequency;
    int32_t pair;
  };

  /// For the heap: true if `b` goes first. Equal texts go in the order in which they came up.
  struct Later {
    const std::vector<Pair>& pairs;
    bool operator()(const Candidate& a, const Candidate& b) const {
      if (a.frequency != b.frequency) return a.frequency < b.frequency;
      const std::u32string& x = pairs[static_cast<size_t>(a.pair)].text;
      const std::u32string& y = pairs[static_cast<size_t>(b.pair)].text;
      if (x.size() != y.size()) return x.size() > y.size();
      if (const int order = x.compare(y); order != 0) return order > 0;
      return a.pair > b.pair;
    }
  };
  Later later() const { return {pairs_}; }

  void append(int32_t symbol, int64_t weight) {
    row_.push_back(symbol);
    weight_.push_back(weight);
  }

  // Boundaries at both ends of the row stop these.
  uint32_t before(uint32_t at) const {
    do --at;
    while (row_[at] == kMerged);
    return at;
  }
  uint32_t after(uint32_t at) const {
    do ++at;
    while (row_[at] == kMerged);
    return at;
  }

  static uint64_t key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
  }

  /// Records that the symbols at these two neighbouring places form a pair.
  void add_pair(uint32_t left_at, uint32_t right_at) {
    const int32_t left = row_[left_at], right = row_[right_at];
    if (left < 0 || right < 0) return;
    const auto [found, is_new] = pair_of_.try_emplace(key(left, right), kNoPair);
    if (is_new) {
      std::u32string text =
          symbols_[static_cast<size_t>(left)] + symbols_[static_cast<size_t>(right)];
      if (is_admissible(text, options_.spec)) {
        found->second = static_cast<int32_t>(pairs_.size());
        pairs_.push_back({left, right, std::move(text), {}});
      }
    }
    if (found->second == kNoPair) return;
    pairs_[static_cast<size_t>(found->second)].positions.push_back(left_at);
    touch(found->second);
  }

  void touch(int32_t index) {
    Pair& pair = pairs_[static_cast<size_t>(index)];
    if (!pair.touched) touched_.push_back(index);
    pair.touched = true;
  }

  /// The pair at these places loses one of them.
  void lose_pair(uint32_t left_at, uint32_t right_at) {
    if (row_[left_at] < 0 || row_[right_at] < 0) return;
    const auto found = pair_of_.find(key(row_[left_at], row_[right_at]));
    if (found != pair_of_.end() && found->second != kNoPair) touch(found->second);
  }

  void merge(int32_t left, int32_t right, const std::vector<uint32_t>& positions,
             const std::u32string& text) {
    const auto merged = static_cast<int32_t>(symbols_.size());
    symbols_.push_back(text);
    for (const uint32_t at : positions) {
      if (row_[at] != left) continue;  // the middle of "aaa" went with the first two
      const uint32_t right_at = after(at);
      if (row_[right_at] != right) continue;
      const uint32_t previous = before(at), next = after(right_at);
      lose_pair(previous, at);
      lose_pair(right_at, next);
      row_[at] = merged;
      row_[right_at] = kMerged;
      add_pair(previous, at);
      add_pair(at, next);
    }
    recount_touched();
  }

  void recount_touched() {
    for (const int32_t index : touched_) {
      Pair& pair = pairs_[static_cast<size_t>(index)];
      pair.touched = false;
      if (pair.done) continue;
      const int64_t old = pair.frequency;
      recount(pair);
      if (pair.frequency == old || pair.frequency == 0) continue;
      agenda_.push_back({pair.frequency, index});
      std::push_heap(agenda_.begin(), agenda_.end(), later());
    }
    touched_.clear();
  }

  /// Drops outdated positions and adds up the weights of the rest.
  void recount(Pair& pair) const {
    pair.frequency = 0;
    size_t kept = 0;
    uint32_t previous_right = 0;  // of the position before, if it counted
    for (const uint32_t at : pair.positions) {
      const uint32_t right_at = after(at);
      const bool outdated = row_[at] != pair.left || row_[right_at] != pair.right;
      const bool overlaps = options_.legacy_rules && at == previous_right;
      previous_right = 0;
      if (outdated || overlaps) continue;
      pair.frequency += weight_[at];
      pair.positions[kept++] = at;
      previous_right = right_at;
    }
    pair.positions.resize(kept);
  }

  const TrainerOptions& options_;
  std::vector<std::u32string> symbols_;
  std::vector<int32_t> row_;
  std::vector<int64_t> weight_;  // of the word at each place of the row
  std::vector<Pair> pairs_;
  std::unordered_map<uint64_t, int32_t> pair_of_;
  std::vector<int32_t> touched_;   // pairs whose frequency has to be counted again
  std::vector<Candidate> agenda_;  // a heap
  std::unordered_set<std::u32string> pieces_;
};

}  // namespace

SentencePieceModel train_bpe(std::span<const std::string> lines, const TrainerOptions& options,
                             const TrainingCallback& progress) {
  constexpr size_t kReportEvery = 64;
  TrainingProgress now{.stage = "normalise"};
  const auto report = [&](std::string_view stage, size_t pieces) {
    now.stage = stage;
    now.pieces = static_cast<int64_t>(pieces);
    if (progress) progress(now);
  };
  report("normalise", 0);
  const TrainingCorpus corpus = prepare_corpus(lines, options);
  const size_t merges =
      static_cast<size_t>(options.spec.vocab_size) - corpus.meta.size() - corpus.alphabet.size();
  now.target = static_cast<int64_t>(merges);
  report("count", 0);
  BpeTraining training(corpus_words(corpus.sentences, options.spec), options);
  std::vector<ScoredText> learned;
  const auto learn = [&](std::u32string_view text) {
    learned.push_back({to_utf8(text), -static_cast<float>(learned.size())});
  };
  while (learned.size() < merges) {
    const std::optional<std::u32string> piece = training.next();
    if (!piece) break;
    learn(*piece);
    if (learned.size() % kReportEvery == 0) report("merge", learned.size());
  }
  for (const auto& [c, count] : corpus.alphabet) learn(std::u32string_view(&c, 1));
  report("finish", learned.size());
  return assemble_model(corpus, std::move(learned), options, PieceModelType::kBpe);
}

}  // namespace tessera::beit3
