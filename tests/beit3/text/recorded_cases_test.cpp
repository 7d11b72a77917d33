// Against what SentencePiece 0.1.97 and BEiT-3's reference gave: every field equal.

#include "beit3/text/recorded_cases.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recorded_models.h"
#include "tensor/base/error.h"

namespace tessera::beit3::testing {
namespace {

using ::testing::HasSubstr;

/// Shared, because building the normalisation tables takes most of a test's time.
RecordedCases& recorded() {
  static RecordedCases all(recorded_codec);
  return all;
}

void expect_all_equal(const std::string& file, int64_t cases) {
  const CaseFileReport report = recorded().compare(kFolder + "/" + file);
  int64_t equal = 0;
  for (const CaseTally& tally : report.tallies) equal += tally.equal;
  EXPECT_EQ(equal, cases);
  for (const CaseDifference& d : report.differences) {
    ADD_FAILURE() << file << ":" << d.line << ": " << d.what << " of " << d.input;
  }
}

TEST(RecordedCases, EncodeAndDecode) { expect_all_equal("cases.jsonl", 510); }
TEST(RecordedCases, BestSegmentationsAndTheirProbabilities) {
  expect_all_equal("lattice_cases.jsonl", 74);
}
TEST(RecordedCases, XlmrIds) { expect_all_equal("xlmr_cases.jsonl", 47); }
TEST(RecordedCases, LoadingValidAndBrokenModels) { expect_all_equal("load_cases.jsonl", 76); }
TEST(RecordedCases, VqaAnswers) { expect_all_equal("vqa_answer_cases.jsonl", 90); }

/// A file of these lines, gone with the object.
class CaseFile {
 public:
  explicit CaseFile(const std::string& lines)
      : path_((std::filesystem::path(::testing::TempDir()) / "tessera_cases.jsonl").string()) {
    std::ofstream(path_) << lines;
  }
  ~CaseFile() { std::filesystem::remove(path_); }
  CaseFile(const CaseFile&) = delete;
  CaseFile& operator=(const CaseFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// The difference that a single case gives.
std::string difference_of(const std::string& line) {
  const CaseFile file(line + "\n");
  const CaseFileReport report = recorded().compare(file.path());
  return report.differences.size() == 1 ? report.differences[0].what : "";
}

TEST(RecordedCases, EveryFieldIsCompared) {
  EXPECT_EQ(difference_of(R"({"kind": "vqa_norm", "text": "Two dogs", "norm": "two dogs"})"),
            "norm: expected \"two dogs\", got \"2 dogs\"");
  const auto encode = [](const std::string& ids, const std::string& end,
                         const std::string& decoded) {
    return R"({"model": "uniident1k", "text": "I", "ids": )" + ids +
           R"(, "pieces": ["\u2581I"], "begin": [0], "end": )" + end + R"(, "decoded": ")" +
           decoded + R"("})";
  };
  const std::string id = std::to_string(recorded_codec("uniident1k")->encode("I").at(0));
  EXPECT_EQ(difference_of(encode("[" + id + "]", "[1]", "I")), "");
  EXPECT_THAT(difference_of(encode("[0]", "[1]", "I")), HasSubstr("ids: expected [0], got"));
  EXPECT_THAT(difference_of(encode("[" + id + "]", "[2]", "I")), HasSubstr("end: expected [2]"));
  EXPECT_THAT(difference_of(encode("[" + id + "]", "[1]", "i")), HasSubstr("decoded: expected"));
}

TEST(RecordedCases, WhatIsNoCaseIsNamedWithItsLine) {
  const auto refuses = [](const std::string& line, const std::string& part) {
    const CaseFile file(R"({"kind": "vqa_norm", "text": "a", "norm": ""})"
                        "\n" +
                        line + "\n");
    try {
      recorded().compare(file.path());
      ADD_FAILURE() << line << " was accepted";
    } catch (const IoError& error) {
      EXPECT_THAT(error.what(), HasSubstr("cases.jsonl:2: "));
      EXPECT_THAT(error.what(), HasSubstr(part));
    }
  };
  refuses("{", "parse error");
  refuses(R"({"kind": "vqa_norm", "text": "a"})", "norm");
  refuses(R"({"kind": "vqa_norm", "text": 5, "norm": ""})", "string");
  refuses(R"({"kind": "poem", "text": "a"})", "poem");
  refuses(R"({"model": "absent", "text": "a"})", "absent.model");
  refuses(R"({"model": "../x", "text": "a"})", "../x");
  refuses(std::string(65, '['), "nested more than 64 deep");
  EXPECT_THROW(recorded().compare("data/absent.jsonl"), IoError);
}

TEST(RecordedCases, RewrittenModelIsTheSame) {
  for (const char* name : {"uniident1k", "uniwire400", "bpeunused1k"}) {
    const SentencePieceModel model = load_model(model_path(name));
    const std::string bytes = serialize_model(model);
    EXPECT_EQ(serialize_model(parse_model(bytes, name)), bytes);
    EXPECT_EQ(vocabulary_text(parse_model(bytes, name)), vocabulary_text(model));
  }
}

TEST(RecordedCases, EveryCutOrChangedFileIsRefusedOrLoadsCleanly) {
  const std::string bytes = serialize_model(load_model(model_path("uniwire400")));
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
