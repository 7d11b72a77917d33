#include "nn/init.h"

#include <cmath>

#include <gtest/gtest.h>

#include "nn/dropout.h"
#include "nn/module.h"
#include "tensor/ops/ops.h"
#include "tests/testing/errors.h"

namespace {

using namespace tessera;
using namespace tessera::nn;

struct Statistics {
  double mean = 0, std = 0, low = INFINITY, high = -INFINITY;
};

Statistics statistics(const Tensor& x) {
  const std::vector<double> v = x.to_vector<double>();
  Statistics s;
  for (const double e : v) {
    s.mean += e / static_cast<double>(v.size());
    s.low = std::min(s.low, e);
    s.high = std::max(s.high, e);
  }
  for (const double e : v) s.std += (e - s.mean) * (e - s.mean) / static_cast<double>(v.size());
  s.std = std::sqrt(s.std);
  return s;
}

constexpr int64_t kRows = 400, kCols = 500;
// Five standard errors of a mean and of a standard deviation of as many values.
const double kError = 5 / std::sqrt(static_cast<double>(kRows * kCols));

TEST(Init, OneSigmaIsCutAtOneStandardDeviation) {
  const Statistics s = statistics(init::truncated_normal_one_sigma({kRows, kCols}, RandomKey{1}));
  // f32 rounds the bound itself.
  EXPECT_LE(s.high, 0.02 + 1e-9);
  EXPECT_GE(s.low, -0.02 - 1e-9);
  EXPECT_GT(s.high, 0.0199);
  EXPECT_NEAR(s.mean, 0, 0.0108 * kError);
  EXPECT_NEAR(s.std, 0.02 * 0.53956, 0.0108 * kError);
}

TEST(Init, AbsoluteBoundsDoNotCutASmallNormal) {
  const Statistics s = statistics(init::truncated_normal_absolute({kRows, kCols}, RandomKey{2}));
  EXPECT_NEAR(s.std, 0.02, 0.02 * kError);
  EXPECT_GT(s.high, 0.07);  // more than 3.5 standard deviations
  EXPECT_LT(s.high, 0.2);
  // With a standard deviation of 1 the bounds are two of it.
  const Statistics wide =
      statistics(init::truncated_normal_absolute({kRows, kCols}, RandomKey{3}, 1));
  EXPECT_LE(wide.high, 2);
  EXPECT_GT(wide.high, 1.99);
  EXPECT_NEAR(wide.std, 0.8796256610342398, kError);
}

TEST(Init, UniformFanIn) {
  const Statistics s = statistics(init::uniform_fan_in({kRows, kCols}, RandomKey{4}));
  const double bound = 1 / std::sqrt(500.0);
  EXPECT_LE(s.high, bound);
  EXPECT_GE(s.low, -bound - 1e-9);
  EXPECT_NEAR(s.std, bound / std::sqrt(3.0), bound * kError);
  EXPECT_EQ(init::fan_in({768, 3, 16, 16}), 768);
  EXPECT_ERROR(init::uniform_fan_in({5}, RandomKey{1}), ShapeError,
               "init: a weight (5) has no inputs; pass fan_in");
}

TEST(Init, Xavier) {
  const double bound = std::sqrt(6.0 / 900);
  const Statistics s = statistics(init::xavier_uniform({kRows, kCols}, RandomKey{5}));
  EXPECT_LE(s.high, bound);
  EXPECT_GT(s.high, 0.999 * bound);
  EXPECT_NEAR(s.std, bound / std::sqrt(3.0), bound * kError);
  const Statistics half = statistics(init::xavier_uniform({kRows, kCols}, RandomKey{5}, 0.5));
  EXPECT_NEAR(half.std, s.std / 2, 1e-6);
}

TEST(Init, Normal) {
  const Statistics s = statistics(init::normal({kRows, kCols}, RandomKey{6}, 0.5));
  EXPECT_NEAR(s.mean, 0, 0.5 * kError);
  EXPECT_NEAR(s.std, 0.5, 0.5 * kError);
}

TEST(Init, IsAFunctionOfTheKey) {
  auto values = [](uint64_t seed) {
    return init::truncated_normal_one_sigma({7, 3}, RandomKey{seed}).to_vector<double>();
  };
  EXPECT_EQ(values(1), values(1));
  EXPECT_NE(values(1), values(2));
}

TEST(Init, SetAndScaleWriteInPlace) {
  const Tensor p = parameter(ones({2, 2}));
  init::scale(p, 0.25);
  EXPECT_EQ(p.to_vector<double>(), (std::vector<double>{0.25, 0.25, 0.25, 0.25}));
  init::set(p, full({2, 2}, 3));
  EXPECT_EQ(p.to_vector<double>()[3], 3);
  EXPECT_TRUE(p.tracked());
  EXPECT_ERROR(init::set(p, ones({2})), ShapeError, "init: the value is (2), the parameter (2, 2)");
}

TEST(Dropout, NothingHappensWithoutAKey) {
  const Tensor x = ones({4, 3});
  EXPECT_TRUE(dropout_if(x, 0.5, {}).is(x));
  EXPECT_TRUE(dropout_if(x, 0, RandomKey{1}).is(x));
  EXPECT_FALSE(dropout_if(x, 0.5, RandomKey{1}).is(x));
  const std::vector<int64_t> samples = {0, 0, 1, 1};
  EXPECT_FALSE(drop_path_rows(samples, 0.5, {}).defined());
  EXPECT_TRUE(drop_path_if(x, {}).is(x));
  const Tensor rows = drop_path_rows(samples, 0.5, RandomKey{3});
  const std::vector<double> r = rows.to_vector<double>();
  EXPECT_EQ(r[0], r[1]);
  EXPECT_EQ(r[2], r[3]);
  EXPECT_EQ(drop_path_if(x, rows).to_vector<double>()[0], r[0]);
}

TEST(Dropout, PathRatesGrowEvenly) {
  EXPECT_EQ(drop_path_rates(5, 0.5), (std::vector<double>{0, 0.125, 0.25, 0.375, 0.5}));
  EXPECT_EQ(drop_path_rates(1, 0.5), std::vector<double>{0});
  EXPECT_ERROR(drop_path_rates(2, 1), ValueError,
               "drop_path_rates: highest is 1, but must be in [0, 1)");
}

}  // namespace
