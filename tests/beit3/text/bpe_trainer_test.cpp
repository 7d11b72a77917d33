#include "beit3/text/bpe_trainer.h"

#include <gtest/gtest.h>

#include "beit3/text/piece_codec.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

/// Without normalisation: building its table takes longer than these trainings.
TrainerOptions options_of(int32_t vocab_size) {
  TrainerOptions options;
  options.normalization = "identity";
  options.spec.vocab_size = vocab_size;
  return options;
}

std::vector<std::string> pieces_of(const SentencePieceModel& model) {
  std::vector<std::string> texts;
  for (const Piece& piece : model.pieces) {
    if (piece.type == PieceType::kNormal) texts.push_back(piece.text);
  }
  return texts;
}

TEST(BpeTrainer, MergesTheMostFrequentPairFirst) {
  // "▁ab" three times, "▁abc" twice, "▁xbc" once: "ab" 5, "▁a" 5, "bc" 3. Of the two with 5 the one
  // of smaller bytes goes first, and takes "▁a" apart; then "▁ab" 5, "abc" 2, "bc" 1.
  const std::vector<std::string> lines = {"ab ab ab abc abc xbc"};
  const SentencePieceModel model = train_bpe(lines, options_of(3 + 3 + 5));
  EXPECT_EQ(pieces_of(model), (std::vector<std::string>{"ab", "\u2581ab", "\u2581abc", "b",
                                                        "\u2581", "a", "c", "x"}));
  EXPECT_EQ(model.pieces[3].score, 0.0f);
  EXPECT_EQ(model.pieces[4].score, -1.0f);
  EXPECT_EQ(model.pieces[10].score, -7.0f);
  EXPECT_EQ(model.trainer.model_type, PieceModelType::kBpe);
}

TEST(BpeTrainer, OverlappingPairsCountOnceByTheOldRules) {
  // "aaa" holds (a, a) twice: 4 in all against 3 of (b, c); counted once each, 2 against 3.
  const std::vector<std::string> lines = {"aaa aaa bc bc bc"};
  TrainerOptions options = options_of(3 + 1 + 4);
  options.add_dummy_prefix = false;
  EXPECT_EQ(pieces_of(train_bpe(lines, options)).front(), "aa");
  options.legacy_rules = true;
  EXPECT_EQ(pieces_of(train_bpe(lines, options)).front(), "bc");
}

TEST(BpeTrainer, NothingReachesAcrossABarrier) {
  TrainerOptions options = options_of(100);
  options.spec.hard_vocab_limit = false;
  options.spec.user_defined_symbols = {"#"};
  const std::vector<std::string> lines = {"ab#cd 12x ab#cd 12x"};
  for (const std::string& piece : pieces_of(train_bpe(lines, options))) {
    EXPECT_EQ(piece.find('#'), std::string::npos) << piece;
    EXPECT_NE(piece, "bc");
    EXPECT_NE(piece, "2x") << "digits and letters are of different scripts";
    EXPECT_EQ(piece.rfind("\u2581"), piece.find("\u2581") == 0 ? 0 : std::string::npos) << piece;
  }
}

TEST(BpeTrainer, SmallCorpusSaysWhatIsPossible) {
  const std::vector<std::string> lines = {"a b", "ab"};
  EXPECT_THROW(train_bpe(lines, options_of(500)), ValueError);
  TrainerOptions options = options_of(500);
  options.spec.hard_vocab_limit = false;
  const SentencePieceModel model = train_bpe(lines, options);
  EXPECT_LT(model.pieces.size(), 20u);
  const PieceCodec codec(model);
  for (const std::string& line : lines) EXPECT_EQ(codec.decode(codec.encode(line)), line);
  EXPECT_THROW(train_bpe(std::vector<std::string>{}, options), ValueError);
}

TEST(BpeTrainer, EncodingRepeatsTheTraining) {
  // The encoder merges by score, so the words of the corpus come out as they were merged.
  std::vector<std::string> lines(20, "the weather there is whether they like it");
  TrainerOptions options = options_of(60);
  options.spec.hard_vocab_limit = false;
  const PieceCodec codec(train_bpe(lines, options));
  for (const PieceToken& token : codec.encode_tokens(lines[0])) {
    EXPECT_TRUE(token.text.starts_with("\u2581")) << token.text;  // whole words
  }
}

}  // namespace
}  // namespace tessera::beit3
