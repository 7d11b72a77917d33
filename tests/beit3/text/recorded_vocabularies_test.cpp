// The trainers against the vocabularies that SentencePiece's made of the same corpora: every piece
// and every score, in order.

#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "beit3/text/bpe_trainer.h"
#include "beit3/text/unigram_trainer.h"
#include "recorded_models.h"

namespace tessera::beit3::testing {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> lines_of(const std::vector<std::string>& corpus) {
  std::vector<std::string> lines;
  for (const std::string& name : corpus) {
    std::ifstream file(kFolder + "/" + name, std::ios::binary);
    for (std::string line; std::getline(file, line);) lines.push_back(line);
  }
  return lines;
}

const std::vector<std::string> kEnglish = {"botchan.txt"};
const std::vector<std::string> kMixed = {"botchan.txt", "wagahaiwa_nekodearu.txt"};

TrainerOptions options_of(int32_t vocab_size, bool legacy) {
  TrainerOptions options;
  options.spec.vocab_size = vocab_size;
  options.spec.num_threads = 4;
  options.legacy_rules = legacy;
  return options;
}

/// The first line in which two vocabularies differ, or "".
std::string first_difference(const std::string& ours, const std::string& recorded) {
  std::istringstream a(ours), b(recorded);
  std::string x, y;
  for (int line = 1;; ++line) {
    const bool more_a = !!std::getline(a, x), more_b = !!std::getline(b, y);
    if (!more_a && !more_b) return "";
    if (more_a != more_b || x != y) {
      return "line " + std::to_string(line) + ": " + (more_a ? x : "(end)") + " against " +
             (more_b ? y : "(end)");
    }
  }
}

/// By SentencePiece 0.1.97; the vocabulary is the one in the model file.
void expect_equals_model(const SentencePieceModel& ours, const std::string& name) {
  const SentencePieceModel recorded = load_model(model_path(name));
  EXPECT_EQ(first_difference(vocabulary_text(ours), vocabulary_text(recorded)), "") << name;
  ASSERT_EQ(ours.pieces.size(), recorded.pieces.size());
  for (size_t i = 0; i < ours.pieces.size(); ++i) {
    EXPECT_EQ(ours.pieces[i].type, recorded.pieces[i].type) << name << ", piece " << i;
    EXPECT_EQ(ours.pieces[i].score, recorded.pieces[i].score) << name << ", piece " << i;
  }
}

/// Line by line; `fixed_...` by the rules of 0.1.99 and later.
void expect_equals_list(const SentencePieceModel& ours, const std::string& name) {
  const std::string recorded = text_of(kFolder + "/" + name + ".vocab");
  ASSERT_FALSE(recorded.empty()) << name;
  EXPECT_EQ(first_difference(vocabulary_text(ours), recorded), "") << name;
}

TEST(RecordedVocabularies, UnigramPlain) {
  expect_equals_list(train_unigram(lines_of(kEnglish), options_of(1000, false)), "fixed_uni1k");
  expect_equals_model(train_unigram(lines_of(kEnglish), options_of(1000, true)), "uni1k");
}

TEST(RecordedVocabularies, UnigramOfTwoLanguages) {
  expect_equals_list(train_unigram(lines_of(kMixed), options_of(8000, false)), "fixed_uni8k");
  expect_equals_list(train_unigram(lines_of(kMixed), options_of(8000, true)), "uni8k");
}

TEST(RecordedVocabularies, UnigramWithByteFallback) {
  TrainerOptions options = options_of(3000, true);
  options.spec.byte_fallback = true;
  options.spec.character_coverage = 0.99f;
  options.spec.pad_id = 3;
  expect_equals_model(train_unigram(lines_of(kMixed), options), "unibyte3k");
}

TEST(RecordedVocabularies, UnigramWithSymbols) {
  TrainerOptions options = options_of(1000, true);
  options.spec.control_symbols = {"<ctrl>", "<2ja>"};
  options.spec.user_defined_symbols = {"<mask>",       "[SEP]",        "<u>", "<u>x", "Red Shirt",
                                       "\xEF\xAC\x81", "\u2460\u2461", "the", "(c)"};
  options.spec.pad_id = 3;
  expect_equals_model(train_unigram(lines_of(kEnglish), options), "uniuser1k");
}

TEST(RecordedVocabularies, UnigramWithOtherNormalisation) {
  TrainerOptions identity = options_of(1000, true);
  identity.normalization = "identity";
  expect_equals_model(train_unigram(lines_of(kEnglish), identity), "uniident1k");

  TrainerOptions suffix = options_of(1000, true);
  suffix.spec.treat_whitespace_as_suffix = true;
  expect_equals_model(train_unigram(lines_of(kEnglish), suffix), "unisuffix1k");

  TrainerOptions raw = options_of(1000, true);
  raw.normalization = "nmt_nfkc_cf";
  raw.add_dummy_prefix = raw.remove_extra_whitespaces = false;
  raw.spec.allow_whitespace_only_pieces = true;
  expect_equals_model(train_unigram(lines_of(kEnglish), raw), "uniraw1k");
}

TEST(RecordedVocabularies, BpePlain) {
  expect_equals_list(train_bpe(lines_of(kEnglish), options_of(1000, false)), "fixed_bpe1k");
  expect_equals_model(train_bpe(lines_of(kEnglish), options_of(1000, true)), "bpe1k");
}

TEST(RecordedVocabularies, BpeWithBytesSymbolsAndDigits) {
  TrainerOptions options = options_of(2000, true);
  options.spec.byte_fallback = true;
  options.spec.character_coverage = 0.985f;
  options.spec.split_digits = true;
  options.spec.user_defined_symbols = {"<mask>", "<|x|>"};
  options.spec.unk_id = 1;
  options.spec.bos_id = 2;
  options.spec.eos_id = 0;
  expect_equals_model(train_bpe(lines_of(kMixed), options), "bpebyte2k");
}

}  // namespace
}  // namespace tessera::beit3::testing
