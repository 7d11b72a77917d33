#include "beit3/trust/parity.h"

#include <gtest/gtest.h>

namespace tessera::beit3 {
namespace {

TEST(Parity, EveryEncoderCaseOfTheOfficialModelIsEqual) {
  const std::vector<CaseReport> reports = run_parity("data/beit3-parity");
  ASSERT_EQ(reports.size(), 5u);
  for (const CaseReport& report : reports) {
    EXPECT_GE(report.tensors.size(), 50u) << report.name;
    for (const Comparison& c : report.tensors) {
      EXPECT_TRUE(c.ok()) << report.name << " " << c.name << ": differs by " << c.max_difference
                          << ", largest value " << c.scale;
    }
  }
}

TEST(Parity, ChoosesCasesByPattern) {
  const auto reports = run_parity("data/beit3-parity", {"encoder-pair*"});
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[0].name, "encoder-pair");
}

TEST(Parity, NamesAnUnknownCase) {
  EXPECT_THROW(run_parity("data/beit3-parity", {"decoder-*"}), ValueError);
  EXPECT_THROW(run_parity("data/no-such-folder"), IoError);
}

}  // namespace
}  // namespace tessera::beit3
