#include "beit3/trust/report.h"

#include <cmath>
#include <limits>

#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace tessera::beit3 {
namespace {

Tensor f32(std::initializer_list<double> values) { return from_values(values); }

TEST(Comparison, MeasuresDifferencesAgainstTheLargestValue) {
  const Comparison c = compare("x", f32({1, 2, -4}), f32({1, 2.5, -4}), 0.2);
  EXPECT_EQ(c.max_difference, 0.5);
  EXPECT_EQ(c.scale, 4);
  EXPECT_EQ(c.relative(), 0.125);
  EXPECT_TRUE(c.ok());
  EXPECT_FALSE(compare("x", f32({1, 2, -4}), f32({1, 2.5, -4}), 0.1).ok());
}

TEST(Comparison, CountsTheFloatsBetween) {
  const float next = std::nextafter(1.0f, 2.0f);
  EXPECT_EQ(compare("x", f32({1}), from_data(std::vector<float>{next}, {1}), 1).ulps, 1);
  // From the smallest negative float over both zeros to the smallest positive one.
  const float tiny = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(compare("x", from_data(std::vector<float>{-tiny}, {1}),
                    from_data(std::vector<float>{tiny}, {1}), 1)
                .ulps,
            2);
  const double next64 = std::nextafter(1.0, 2.0);
  const Tensor one = ones({1}, {.dtype = DType::f64});
  EXPECT_EQ(compare("x", one, from_data(std::vector<double>{next64}, {1}), 1).ulps, 1);
  EXPECT_EQ(compare("x", f32({1}), from_data(std::vector<double>{next64}, {1}), 1).ulps, 0);
}

TEST(Comparison, NaNIsDifferentAndEqualIntegersAreEqual) {
  EXPECT_FALSE(compare("x", f32({NAN}), f32({1}), 1e9).ok());
  EXPECT_FALSE(compare("x", f32({1}), f32({NAN}), 1e9).ok());
  // A recorded infinity does not hide what differs beside it.
  EXPECT_TRUE(compare("x", f32({INFINITY, 1}), f32({INFINITY, 1}), 1e-5).ok());
  EXPECT_FALSE(compare("x", f32({INFINITY, 1}), f32({INFINITY, 2}), 1e-5).ok());
  EXPECT_FALSE(compare("x", f32({5, 1}), f32({INFINITY, 1}), 1e9).ok());
  const Tensor ids = from_data(std::vector<int64_t>{3, 1}, {2});
  EXPECT_TRUE(compare("ids", ids, ids, 0).ok());
  EXPECT_FALSE(compare("ids", ids, from_data(std::vector<int64_t>{3, 2}, {2}), 0).ok());
  EXPECT_ERROR(compare("ids", ids, zeros({3}), 0), ShapeError,
               "parity: ids is (2) here, but (3) in the record");
}

std::vector<CaseReport> three_cases() {
  CaseReport good{.name = "good"}, bad{.name = "bad"}, later{.name = "later"};
  good.tensors = {compare("a", f32({1}), f32({1}), 0)};
  bad.tensors = {compare("a", f32({1}), f32({1}), 0), compare("b", f32({1}), f32({2}), 0.1),
                 compare("c", f32({1}), f32({3}), 0.1)};
  later.unsupported = "needs the task captioning";
  return {good, bad, later};
}

TEST(Report, TheTableEndsWithTheFirstThatDiffers) {
  const std::string table = to_table(three_cases());
  EXPECT_NE(table.find("equal    good"), std::string::npos) << table;
  EXPECT_NE(table.find("DIFFERS  bad"), std::string::npos) << table;
  EXPECT_NE(table.find("    b "), std::string::npos) << table;
  EXPECT_EQ(table.find("    c "), std::string::npos) << table;
  EXPECT_NE(table.find("not supported yet: needs the task captioning"), std::string::npos);
  EXPECT_NE(to_table(three_cases(), true).find("    c "), std::string::npos);
}

TEST(Report, AsJson) {
  const std::string json = to_json(three_cases());
  EXPECT_NE(json.find(R"("equal":1,"different":1,"unsupported":1)"), std::string::npos) << json;
  EXPECT_NE(json.find(R"("first_difference":"b")"), std::string::npos) << json;
}

TEST(Report, ARecordedTensorThatNobodyComputedCountsAsDifferent) {
  CaseReport report{.name = "case"};
  EXPECT_FALSE(report.ok()) << "nothing was compared";
  report.tensors = {compare("a", f32({1}), f32({1}), 0)};
  EXPECT_TRUE(report.ok());
  report.not_compared = {"grad.forgotten"};
  EXPECT_FALSE(report.ok());
  EXPECT_NE(to_table({report}).find("grad.forgotten: recorded, but not compared"),
            std::string::npos);
}

}  // namespace
}  // namespace tessera::beit3
