#include "beit3/text/unigram_trainer.h"

#include <gtest/gtest.h>

#include "beit3/text/piece_codec.h"
#include "tensor/base/error.h"
#include "tensor/base/parallel.h"

namespace tessera::beit3 {
namespace {

std::vector<std::string> captions() {
  const char* const colours[] = {"red", "green", "blue", "yellow"};
  const char* const shapes[] = {"circle", "square", "triangle"};
  std::vector<std::string> lines;
  for (const char* a : colours) {
    for (const char* shape : shapes) {
      for (const char* b : colours) {
        lines.push_back(std::string("a ") + a + " " + shape + " on a " + b + " background");
      }
    }
  }
  return lines;
}

/// Without normalisation: building its table takes longer than these trainings.
TrainerOptions options_of(int32_t vocab_size) {
  TrainerOptions options;
  options.normalization = "identity";
  options.spec.vocab_size = vocab_size;
  options.spec.num_threads = 4;
  return options;
}

TEST(UnigramTrainer, ThreadsDoNotMatter) {
  const int before = thread_count();
  TrainerOptions options = options_of(60);
  options.spec.hard_vocab_limit = false;
  set_thread_count(1);
  const std::string one = serialize_model(train_unigram(captions(), options));
  set_thread_count(3);
  EXPECT_EQ(serialize_model(train_unigram(captions(), options)), one);
  set_thread_count(before);
}

TEST(UnigramTrainer, SmallCorpusSaysWhatIsPossible) {
  try {
    train_unigram(captions(), options_of(500));
    FAIL() << "500 pieces out of a dozen words";
  } catch (const ValueError& error) {
    EXPECT_NE(std::string(error.what()).find("yields at most"), std::string::npos);
  }
  TrainerOptions options = options_of(500);
  options.spec.hard_vocab_limit = false;
  const SentencePieceModel model = train_unigram(captions(), options);
  EXPECT_LT(model.pieces.size(), 500u);
  EXPECT_EQ(model.trainer.vocab_size, static_cast<int32_t>(model.pieces.size()));
  const PieceCodec codec(model);
  for (const std::string& line : captions()) EXPECT_EQ(codec.decode(codec.encode(line)), line);
}

TEST(UnigramTrainer, WholeWordsBecomePieces) {
  TrainerOptions options = options_of(80);
  options.spec.hard_vocab_limit = false;
  options.whole_words = true;
  const PieceCodec codec(train_unigram(captions(), options));
  for (const char* word : {"red", "green", "blue", "yellow", "circle", "square", "triangle"}) {
    EXPECT_EQ(codec.encode(word).size(), 1u) << word;
  }
}

TEST(UnigramTrainer, SelfTestsAndSymbolsTravelWithTheModel) {
  TrainerOptions options = options_of(60);
  options.spec.hard_vocab_limit = false;
  options.spec.self_test_sample_size = 5;
  options.spec.user_defined_symbols = {"circle"};
  options.spec.control_symbols = {"<ctrl>"};
  options.spec.pad_id = 3;
  int reports = 0;
  const SentencePieceModel model =
      train_unigram(captions(), options, [&](const TrainingProgress& p) {
        ++reports;
        EXPECT_FALSE(p.stage.empty());
      });
  EXPECT_GT(reports, 3);
  EXPECT_EQ(model.self_test.size(), 5u);
  const SentencePieceModel again = parse_model(serialize_model(model), "again");
  EXPECT_EQ(again.pieces[3].text, "<pad>");
  EXPECT_EQ(again.pieces[4].type, PieceType::kControl);
  EXPECT_EQ(again.pieces[5].type, PieceType::kUserDefined);
  const PieceCodec codec(again);  // runs the self tests
  EXPECT_EQ(codec.pad_id(), 3);
}

TEST(UnigramTrainer, RefusesBadOptions) {
  const auto refuses = [](auto change) {
    TrainerOptions options = options_of(100);
    options.spec.hard_vocab_limit = false;
    change(options);
    EXPECT_THROW(train_unigram(captions(), options), ValueError);
  };
  refuses([](TrainerOptions& o) { o.spec.vocab_size = 0; });
  refuses([](TrainerOptions& o) { o.spec.vocab_size = 10; });  // fewer than characters
  refuses([](TrainerOptions& o) { o.spec.character_coverage = 0.5f; });
  refuses([](TrainerOptions& o) { o.spec.shrinking_factor = 1.0f; });
  refuses([](TrainerOptions& o) { o.spec.num_threads = 0; });
  refuses([](TrainerOptions& o) { o.spec.unk_id = -1; });
  refuses([](TrainerOptions& o) { o.spec.bos_id = 0; });
  refuses([](TrainerOptions& o) { o.spec.input_sentence_size = 5; });
  refuses([](TrainerOptions& o) { o.spec.user_defined_symbols = {"x", "x"}; });
  refuses([](TrainerOptions& o) { o.normalization = "nfd"; });
  EXPECT_THROW(train_unigram(std::vector<std::string>{}, options_of(100)), ValueError);
  EXPECT_THROW(train_unigram(std::vector<std::string>{"", "  "}, options_of(100)), ValueError);
}

}  // namespace
}  // namespace tessera::beit3
