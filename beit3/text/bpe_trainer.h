#pragma once

#include <span>
#include <string>

#include "beit3/text/trainer_options.h"

namespace tessera::beit3 {

/// Trains a byte-pair vocabulary on lines of text.
///
/// Words start as characters. Again and again the adjacent pair of symbols with the highest
/// frequency becomes a piece and is merged everywhere, left to right; among equals the one of fewer
/// characters, then of smaller bytes. A pair whose text would mix scripts, reach across a space or
/// exceed the longest piece is none. Merges come first, scored 0, -1, -2, ..., then the characters.
/// Same lines and same options give the same model on every machine, whatever the threads.
///
/// options.legacy_rules  counts the pair (a, a) of "aaa" once, as SentencePiece up to 0.1.98 did
/// options.whole_words, spec.seed_sentencepiece_size and the other options of
/// expectation-maximisation do nothing.
///
/// Throws ValueError for an option out of range, an empty corpus, an alphabet larger than
/// vocab_size, or a corpus that cannot fill vocab_size (with spec.hard_vocab_limit = false the size
/// is lowered instead).
/// Source: Sennrich, Haddow, Birch, arXiv:1508.07909.
SentencePieceModel train_bpe(std::span<const std::string> lines, const TrainerOptions& options,
                             const TrainingCallback& progress = {});

}  // namespace tessera::beit3
