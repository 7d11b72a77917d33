#include "beit3/text/tokenizer.h"

#include <algorithm>
#include <filesystem>

#include <gtest/gtest.h>

#include "beit3/text/piece_codec.h"
#include "beit3/text/task_length.h"
#include "beit3/text/vqa_answer.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

const std::string kModel = "data/tokenizer/uniident1k.model";

TEST(Tokenizer, EncodesAndDecodes) {
  const Tokenizer tokenizer = Tokenizer::load(kModel);
  EXPECT_EQ(tokenizer.vocab_size(), 1002);
  EXPECT_EQ(tokenizer.mask_id(), 1001);
  const std::string text = "I never saw such a man.";
  const std::vector<int64_t> ids = tokenizer.encode(text);
  EXPECT_EQ(tokenizer.decode(ids), text);
  EXPECT_TRUE(tokenizer.starts_word(ids[0]));
  std::string joined;
  for (const int64_t id : ids) {
    EXPECT_GT(id, 3);
    joined += tokenizer.piece(id);
  }
  EXPECT_EQ(joined.substr(0, 4), "\xE2\x96\x81I");
  EXPECT_FALSE(tokenizer.starts_word(tokenizer.mask_id()));
  EXPECT_EQ(tokenizer.piece(tokenizer.mask_id()), "<mask>");
  EXPECT_THROW(tokenizer.piece(1002), IndexError);
  EXPECT_THROW(tokenizer.piece(-1), IndexError);
}

TEST(Tokenizer, SpecialSpellingsAreTextUnlessAsked) {
  const Tokenizer tokenizer = Tokenizer::load(kModel);
  for (const int64_t id : tokenizer.encode("a <mask> b")) EXPECT_NE(id, tokenizer.mask_id());
  const std::vector<int64_t> split = tokenizer.encode("a <mask> b", SpecialText::kSplit);
  EXPECT_EQ(std::count(split.begin(), split.end(), tokenizer.mask_id()), 1);
}

TEST(Tokenizer, HashFollowsContentNotDocumentation) {
  SentencePieceModel model = load_model(kModel);
  const uint64_t hash = Tokenizer(model).hash();
  EXPECT_EQ(Tokenizer(parse_model(serialize_model(model), "copy")).hash(), hash);
  model.trainer.input = {"elsewhere.txt"};
  model.trainer.num_threads = 7;
  EXPECT_EQ(Tokenizer(model).hash(), hash);
  model.pieces[10].score -= 1;
  EXPECT_NE(Tokenizer(model).hash(), hash);
  model.pieces[10].score += 1;
  model.normalizer.add_dummy_prefix = false;
  EXPECT_NE(Tokenizer(model).hash(), hash);
}

TEST(Tokenizer, RefusesAnotherOrderOfSpecialPieces) {
  SentencePieceModel model = load_model(kModel);
  std::swap(model.pieces[0], model.pieces[1]);
  EXPECT_THROW(Tokenizer{model}, IoError);
}

TEST(Tokenizer, MissingAndForeignFilesAreNamed) {
  for (const char* path : {"data/tokenizer/absent.model", "data/tokenizer/README.md", "data"}) {
    try {
      Tokenizer::load(path);
      FAIL() << path;
    } catch (const IoError& error) {
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
    }
  }
}

TEST(Tokenizer, SavingIsAtomic) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(::testing::TempDir()) / "tessera_tokenizer_save";
  fs::create_directories(folder);
  const std::string path = (folder / "a.model").string();
  const SentencePieceModel model = load_model(kModel);
  save_model(model, path);
  save_model(model, path);  // over an old one
  EXPECT_EQ(serialize_model(load_model(path)), serialize_model(model));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 1);
  EXPECT_THROW(save_model(model, (folder / "no" / "a.model").string()), IoError);
  fs::remove_all(folder);
}

TEST(PackText, CutsAndPads) {
  const std::vector<int64_t> content = {10, 11, 12};
  const PackedText padded = pack_text(content, 7);
  EXPECT_EQ(padded.tokens, (std::vector<int64_t>{0, 10, 11, 12, 2, 1, 1}));
  EXPECT_EQ(padded.padding_mask, (std::vector<uint8_t>{0, 0, 0, 0, 0, 1, 1}));
  EXPECT_EQ(padded.num_tokens, 5);
  EXPECT_EQ(pack_text(content, 4).tokens, (std::vector<int64_t>{0, 10, 11, 2}));
  EXPECT_THROW(pack_text({}, 8), ValueError);
  EXPECT_THROW(pack_text(content, 2), ValueError);
}

TEST(PackText, EveryTaskHasALength) {
  std::vector<int64_t> content(100);
  for (int64_t i = 0; i < 100; ++i) content[static_cast<size_t>(i)] = 10 + i;
  for (const TaskLength& length : task_lengths()) {
    EXPECT_EQ(task_length(length.task), length.tokens);
    const PackedText row = pack_text(content, length.tokens);
    EXPECT_EQ(row.num_tokens, length.tokens);
    EXPECT_EQ(row.tokens.back(), XlmrIds::kEos) << "cut on the right, with room for </s>";
    EXPECT_EQ(row.tokens[static_cast<size_t>(length.tokens) - 2], 10 + length.tokens - 3);
  }
  EXPECT_EQ(task_length("vqav2"), 64);
  EXPECT_EQ(task_length("coco_captioning"), 32);
  EXPECT_THROW(task_length("imagenet"), ValueError);
}

TEST(VqaAnswer, KeepsTheOdditiesOfItsRules) {
  EXPECT_EQ(normalize_answer("The  Two Dogs!"), "2 dogs");
  EXPECT_EQ(normalize_answer(std::string(40, '.') + "5."), "........5.");  // 32 of 41 went
  EXPECT_EQ(normalize_answer("1,000 red-hot"), "1000 redhot");  // digits decide about the hyphen
  EXPECT_EQ(normalize_answer("red-hot"), "red hot");
  EXPECT_EQ(normalize_answer("\u00C4\u3000B\xFF"), "\u00E4 b\uFFFD");
}

}  // namespace
}  // namespace tessera::beit3
