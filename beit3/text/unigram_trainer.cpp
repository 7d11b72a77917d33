#include "beit3/text/unigram_trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "beit3/text/trainer_corpus_internal.h"
#include "beit3/text/unigram_lattice_internal.h"
#include "beit3/text/utf8.h"
#include "tensor/base/error.h"
#include "tensor/base/parallel.h"

namespace tessera::beit3 {
namespace {

constexpr float kLeastExpectation = 0.5f;
constexpr double kSlack = 1.1;  // candidates left, relative to the vocabulary, when pruning stops

/// The derivative of ln Gamma: recurrence up to 7, then the asymptotic series around x - 1/2.
double digamma(double x) {
  double result = 0;
  for (; x < 7; ++x) result -= 1 / x;
  x -= 0.5;
  const double x2 = 1 / (x * x), x4 = x2 * x2;
  return result + std::log(x) + (1.0 / 24.0) * x2 - (7.0 / 960.0) * x4 + (31.0 / 8064.0) * x4 * x2 -
         (127.0 / 30720.0) * x4 * x4;
}

class UnigramTraining {
 public:
  UnigramTraining(const std::vector<WeightedText>& words, std::vector<ScoredText> seeds,
                  const TrainerOptions& options)
      : words_(words),
        pieces_(std::move(seeds)),
        options_(options),
        parts_(static_cast<size_t>(options.spec.num_threads)) {
    for (const WeightedText& word : words) {
      characters_ +=
          static_cast<double>(word.count) * static_cast<double>(to_code_points(word.text).size());
    }
  }

  const std::vector<ScoredText>& pieces() const { return pieces_; }
  double bits_per_character() const { return bits_; }

  /// One round of expectation-maximisation.
  void estimate() {
    const UnigramCandidates candidates(pieces_);
    std::vector<std::vector<float>> expected(parts_);
    std::vector<double> log_likelihood(parts_, 0.0);
    for_each_part([&](size_t part) {
      expected[part].assign(pieces_.size(), 0.0f);
      UnigramLattice lattice;
      for (size_t i = part; i < words_.size(); i += parts_) {
        lattice.build(words_[i].text, candidates);
        const auto count = static_cast<float>(words_[i].count);
        const float z = lattice.add_expectations(count, expected[part]);
        log_likelihood[part] += static_cast<double>(count) * static_cast<double>(z);
      }
    });
    for (size_t part = 1; part < parts_; ++part) {
      for (size_t i = 0; i < pieces_.size(); ++i) expected[0][i] += expected[part][i];
    }
    const double total_log = std::accumulate(log_likelihood.begin(), log_likelihood.end(), 0.0);
    bits_ = -total_log / std::log(2.0) / characters_;
    maximise(expected[0]);
  }

  /// Drops the candidates that the corpus misses least, down to `desired` or by the shrinking
  /// factor, whichever keeps more.
  void prune(size_t desired) {
    const UnigramCandidates candidates(pieces_);
    const size_t size = pieces_.size();
    std::vector<uint8_t> keep(size, 1);
    std::vector<std::vector<uint32_t>> alternative(size);
    parallel_ranges(static_cast<int64_t>(size), 512, [&](int64_t begin, int64_t end) {
      UnigramLattice lattice;
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        lattice.build(pieces_[i].text, candidates);
        const std::vector<UnigramLattice::Path> paths = lattice.best_paths(2);
        if (paths.size() < 2) continue;  // nothing could replace it
        if (paths[0].nodes.size() >= 2) {
          keep[i] = 0;  // not even its own text uses it
          continue;
        }
        for (const uint32_t node : paths[1].nodes) {
          alternative[i].push_back(lattice.node(node).id);
        }
      }
    });

    const Usage usage = count_usage(candidates);
    const float sum =
        static_cast<float>(std::accumulate(usage.frequency.begin(), usage.frequency.end(), 0.0));
    const auto log_sum = static_cast<float>(std::log(static_cast<double>(sum)));
    std::vector<ScoredText> kept;
    std::vector<std::pair<float, size_t>> losses;
    for (size_t i = 0; i < size; ++i) {
      const float frequency = usage.frequency[i];
      if (frequency == 0 || !keep[i]) continue;
      if (alternative[i].empty()) {
        kept.push_back(std::move(pieces_[i]));
        continue;
      }
      losses.emplace_back(loss(usage, i, alternative[i], sum, log_sum), i);
    }
    const auto shrunk =
        static_cast<size_t>(options_.spec.shrinking_factor * static_cast<float>(size));
    const size_t target = std::max(desired, shrunk);
    std::sort(losses.begin(), losses.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    for (const auto& [value, i] : losses) {
      if (kept.size() == target) break;
      kept.push_back(std::move(pieces_[i]));
    }
    pieces_ = std::move(kept);
  }

 private:
  struct Usage {
    std::vector<float> frequency;  // of each candidate in the best segmentations
    std::vector<float> weight;     // of the words that use it, once a use
    float words = 0;               // weight of all words
  };

  /// Part t takes the words t, t + parts, ...: the partial sums depend on the option alone.
  template <class F>
  void for_each_part(F&& f) {
    parallel_for(static_cast<int64_t>(parts_), [&](int64_t part) { f(static_cast<size_t>(part)); });
  }

  void maximise(const std::vector<float>& expected) {
    std::vector<ScoredText> kept;
    float sum = 0;
    for (size_t i = 0; i < pieces_.size(); ++i) {
      if (expected[i] < kLeastExpectation) continue;
      kept.push_back({std::move(pieces_[i].text), expected[i]});
      sum += expected[i];
    }
    const auto log_sum = static_cast<float>(digamma(static_cast<double>(sum)));
    for (ScoredText& piece : kept) {
      piece.score = static_cast<float>(digamma(static_cast<double>(piece.score)) -
                                       static_cast<double>(log_sum));
    }
    pieces_ = std::move(kept);
  }

  Usage count_usage(const UnigramCandidates& candidates) {
    const size_t size = pieces_.size();
    std::vector<std::vector<float>> frequency(parts_);
    std::vector<std::vector<std::pair<uint32_t, float>>> uses(parts_);
    std::vector<float> words(parts_, 0.0f);
    for_each_part([&](size_t part) {
      frequency[part].assign(size, 0.0f);
      UnigramLattice lattice;
      std::vector<uint32_t> path;
      for (size_t i = part; i < words_.size(); i += parts_) {
        const auto count = static_cast<float>(words_[i].count);
        words[part] += count;
        lattice.build(words_[i].text, candidates);
        lattice.best_path(path);
        for (const uint32_t id : path) {
          frequency[part][id] += count;
          uses[part].emplace_back(id, count);
        }
      }
    });
    Usage usage{std::vector<float>(size, 0.0f), std::vector<float>(size, 0.0f)};
    for (size_t part = 0; part < parts_; ++part) {
      usage.words += words[part];
      for (size_t i = 0; i < size; ++i) usage.frequency[i] += frequency[part][i];
      for (const auto& [id, count] : uses[part]) usage.weight[id] += count;
    }
    return usage;
  }

  /// What the corpus loses a word if candidate i gives way to its alternative.
  float loss(const Usage& usage, size_t i, const std::vector<uint32_t>& alternative, float sum,
             float log_sum) const {
    const float frequency = usage.frequency[i];
    const size_t counted = options_.legacy_rules ? pieces_.size() : alternative.size();
    const float sum_without = sum + frequency * static_cast<float>(counted - 1);
    const auto log_sum_without = static_cast<float>(std::log(static_cast<double>(sum_without)));
    const auto own =
        static_cast<float>(std::log(static_cast<double>(frequency)) - static_cast<double>(log_sum));
    float other = 0;
    for (const uint32_t j : alternative) {
      const float with = usage.frequency[j] + frequency;
      other =
          static_cast<float>(static_cast<double>(other) + (std::log(static_cast<double>(with)) -
                                                           static_cast<double>(log_sum_without)));
    }
    return usage.weight[i] / usage.words * (own - other);
  }

  const std::vector<WeightedText>& words_;
  std::vector<ScoredText> pieces_;
  const TrainerOptions& options_;
  size_t parts_;
  double characters_ = 0, bits_ = 0;
};

bool better(const ScoredText& a, const ScoredText& b) {
  return a.score != b.score ? a.score > b.score : a.text < b.text;
}

/// Every character, then the best of the rest up to `wanted` pieces, ordered by score.
std::vector<ScoredText> final_pieces(std::vector<ScoredText> pieces,
                                     const std::vector<std::pair<char32_t, int64_t>>& alphabet,
                                     size_t wanted) {
  constexpr float kStep = 0.0001f;  // keeps characters without a score of their own apart
  float min_score = std::numeric_limits<float>::max();
  std::unordered_map<std::string_view, float> score_of;
  for (const ScoredText& piece : pieces) {
    score_of.emplace(piece.text, piece.score);
    min_score = std::min(min_score, piece.score);
  }
  std::vector<ScoredText> chosen;
  std::unordered_set<std::string> taken;
  float extra = 0;
  for (const auto& [c, count] : alphabet) {
    const std::string text = to_utf8(std::u32string_view(&c, 1));
    if (const auto at = score_of.find(text); at != score_of.end()) {
      chosen.push_back({text, at->second});
    } else {
      chosen.push_back({text, min_score + extra});
      extra += kStep;
    }
    taken.insert(text);
  }
  std::sort(pieces.begin(), pieces.end(), better);
  for (const ScoredText& piece : pieces) {
    if (chosen.size() >= wanted) break;
    if (!taken.contains(piece.text)) chosen.push_back(piece);
  }
  std::sort(chosen.begin(), chosen.end(), better);
  return chosen;
}

}  // namespace

SentencePieceModel train_unigram(std::span<const std::string> lines, const TrainerOptions& options,
                                 const TrainingCallback& progress) {
  const TrainerSpec& spec = options.spec;
  const auto desired = static_cast<size_t>(kSlack * spec.vocab_size);
  TrainingProgress now{.stage = "normalise", .target = static_cast<int64_t>(desired)};
  const auto report = [&](std::string_view stage, size_t pieces) {
    now.stage = stage;
    now.pieces = static_cast<int64_t>(pieces);
    if (progress) progress(now);
  };
  report("normalise", 0);
  const TrainingCorpus corpus = prepare_corpus(lines, options);
  report("seeds", 0);
  const std::vector<WeightedText> words = corpus_words(corpus.sentences, spec);
  std::vector<ScoredText> seeds = unigram_seeds(
      corpus.sentences,
      options.whole_words ? std::span<const WeightedText>(words) : std::span<const WeightedText>(),
      spec);
  check<ValueError>(!seeds.empty(), "train: the corpus holds nothing but special pieces");

  UnigramTraining training(words, std::move(seeds), options);
  for (now.round = 1;; ++now.round) {
    for (int i = 0; i < spec.num_sub_iterations; ++i) {
      training.estimate();
      check<ValueError>(!training.pieces().empty(),
                        "train: too little text: no candidate is expected to occur; give more "
                        "lines");
      now.bits_per_character = training.bits_per_character();
      report("estimate", training.pieces().size());
    }
    if (training.pieces().size() <= desired) break;
    training.prune(desired);
    report("prune", training.pieces().size());
  }
  report("finish", training.pieces().size());
  const size_t wanted = static_cast<size_t>(spec.vocab_size) - corpus.meta.size();
  return assemble_model(corpus, final_pieces(training.pieces(), corpus.alphabet, wanted), options,
                        PieceModelType::kUnigram);
}

}  // namespace tessera::beit3
