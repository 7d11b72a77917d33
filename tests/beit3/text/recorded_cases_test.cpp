// Encoding, decoding and loading against what SentencePiece 0.1.97 gave: every field equal.

#include "recorded_cases.h"

#include <gtest/gtest.h>

namespace tessera::beit3::testing {
namespace {

const std::string kFolder = "data/tokenizer";

/// Shared, because building the normalisation tables takes most of a test's time.
Codecs& codecs() {
  static Codecs all(kFolder);
  return all;
}

TEST(RecordedCases, EncodeAndDecode) {
  const std::vector<Json> cases = read_cases(kFolder + "/cases.jsonl");
  EXPECT_EQ(cases.size(), 510u);
  for (const Json& c : cases) {
    EXPECT_EQ(difference(codecs()[c["model"]], c), "") << c.dump();
  }
}

TEST(RecordedCases, XlmrIds) {
  const std::vector<Json> cases = read_cases(kFolder + "/xlmr_cases.jsonl");
  EXPECT_EQ(cases.size(), 47u);
  for (const Json& c : cases) {
    EXPECT_EQ(xlmr_difference(codecs()[c["model"]], c), "") << c.dump();
  }
}

TEST(RecordedCases, LoadingValidAndBrokenModels) {
  const std::vector<Json> cases = read_cases(kFolder + "/load_cases.jsonl");
  EXPECT_EQ(cases.size(), 76u);
  for (const Json& c : cases) EXPECT_EQ(load_difference(c), "") << c["name"];
}

TEST(RecordedCases, RewrittenModelIsTheSame) {
  for (const char* name : {"uniident1k", "uniwire400", "bpeunused1k"}) {
    const std::string path = kFolder + "/" + name + ".model";
    const SentencePieceModel model = load_model(path);
    const std::string bytes = serialize_model(model);
    EXPECT_EQ(serialize_model(parse_model(bytes, name)), bytes);
    EXPECT_EQ(vocabulary_text(parse_model(bytes, name)), vocabulary_text(model));
  }
}

TEST(RecordedCases, EveryCutOrChangedFileIsRefusedOrLoadsCleanly) {
  const std::string bytes = serialize_model(load_model(kFolder + "/uniwire400.model"));
  const auto try_one = [](const std::string& damaged) {
    try {
      const PieceCodec codec(parse_model(damaged, "damaged"), "damaged");
      codec.decode(codec.encode("A man, two dogs \xE2\x96\x81 and \xFF."));
    } catch (const IoError&) {
    }
  };
  for (size_t size = 0; size < bytes.size(); size += 37) try_one(bytes.substr(0, size));
  for (size_t i = 0; i < bytes.size(); i += 11) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    try_one(damaged);
  }
}

}  // namespace
}  // namespace tessera::beit3::testing
