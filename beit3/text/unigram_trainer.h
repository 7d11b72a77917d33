#pragma once

#include <span>
#include <string>

#include "beit3/text/trainer_options.h"

namespace tessera::beit3 {

/// Trains a Unigram vocabulary on lines of text.
///
/// Candidates are the characters and the right-maximal repeated substrings of the corpus. Rounds of
/// expectation-maximisation give them probabilities, with a sparse prior (digamma instead of the
/// logarithm), and after each round the pieces whose loss costs the corpus least are dropped, until
/// 1.1 times the wanted size is left; the best of those, and every character, make the vocabulary.
/// Same lines and same options give the same model on every machine, whatever the threads.
///
/// Throws ValueError for an option out of range, an empty corpus, an alphabet larger than
/// vocab_size, or a corpus that cannot fill vocab_size (with spec.hard_vocab_limit = false the size
/// is lowered instead).
/// Source: Kudo, arXiv:1804.10959, section 3.2; Liang, Klein, "Structured Bayesian nonparametric
/// models with variational inference", ACL 2007 tutorial.
SentencePieceModel train_unigram(std::span<const std::string> lines, const TrainerOptions& options,
                                 const TrainingCallback& progress = {});

}  // namespace tessera::beit3
