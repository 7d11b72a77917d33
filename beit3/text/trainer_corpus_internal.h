#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "beit3/text/trainer_options.h"

namespace tessera::beit3 {

/// Stands in the corpus for every character outside the alphabet; never part of a piece.
inline constexpr char32_t kBarrier = 0x2585;

struct WeightedText {
  std::string text;
  int64_t count;
};

/// A corpus ready for training.
struct TrainingCorpus {
  std::map<int32_t, Piece> meta;  ///< pieces with fixed ids: unknown, control, user-defined, bytes
  NormalizerSpec normalizer;
  std::vector<WeightedText> sentences;
  std::vector<std::pair<char32_t, int64_t>> alphabet;  ///< most frequent first, with counts
  std::vector<std::string> self_test_inputs;           ///< spec.self_test_sample_size raw lines
};

/// Checks the options, normalises the lines, and replaces what cannot be part of a piece.
/// Throws ValueError as `train_unigram` and `train_bpe`.
TrainingCorpus prepare_corpus(std::span<const std::string> lines, const TrainerOptions& options);

/// The distinct words of the sentences, most frequent first, then by bytes; the sentences
/// themselves if pieces may span words.
std::vector<WeightedText> corpus_words(const std::vector<WeightedText>& sentences,
                                       const TrainerSpec& spec);

/// True if a string may be a piece: its length, where spaces stand, one script, digits.
bool is_admissible(std::u32string_view piece, const TrainerSpec& spec);

/// A candidate piece with its log-probability.
struct ScoredText {
  std::string text;
  float score;
};

/// The first candidates: characters by frequency, then right-maximal repeated substrings by
/// (occurrences * length), then those of `words` that occur at least twice and are not among them.
std::vector<ScoredText> unigram_seeds(const std::vector<WeightedText>& sentences,
                                      std::span<const WeightedText> words, const TrainerSpec& spec);

/// The model file of a finished training: meta pieces at their ids, learned ones around them.
SentencePieceModel assemble_model(const TrainingCorpus& corpus, std::vector<ScoredText> learned,
                                  const TrainerOptions& options, PieceModelType type);

}  // namespace tessera::beit3
