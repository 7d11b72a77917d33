#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "beit3/text/sentencepiece_model.h"

namespace tessera::beit3 {

/// What a vocabulary is trained with. `spec` is kept in the model; its defaults are
/// SentencePiece's.
///
/// spec.num_threads is a numeric option, not a number of threads: expected counts are summed in
/// that many f32 partial sums, so it changes last digits. The threads in use change nothing.
struct TrainerOptions {
  TrainerSpec spec;
  std::string normalization = "nmt_nfkc";  ///< see builtin_rewrite_rules
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;

  /// Pruning losses (Unigram) and pair frequencies (BPE) as SentencePiece computed them up to
  /// 0.1.98, to reproduce old vocabularies.
  bool legacy_rules = false;

  /// Also makes every word that occurs at least twice a candidate. SentencePiece's candidates are
  /// substrings that are followed by different characters, and so miss a word that always has
  /// another one behind it; in a corpus of simple sentences those are most. Off equals
  /// SentencePiece.
  bool whole_words = false;

  /// Seeds the choice of sentences (input_sentence_size) and of self-test samples.
  uint64_t seed = 0;
};

/// Where a training run is.
struct TrainingProgress {
  std::string_view stage;         ///< "normalise", "seeds", "estimate", "prune" or "finish" for
                                  ///< Unigram; "normalise", "count", "merge" or "finish" for BPE
  int64_t round = 0;              ///< of estimation and pruning, from 1
  int64_t pieces = 0;             ///< candidates left (Unigram) or merges made (BPE)
  int64_t target = 0;             ///< the number of pieces at which that stops
  double bits_per_character = 0;  ///< of the corpus under the current pieces; 0 when not known
};

/// Called now and then from the training thread.
using TrainingCallback = std::function<void(const TrainingProgress&)>;

}  // namespace tessera::beit3
