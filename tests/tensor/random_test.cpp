#include "tensor/ops/random.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace tessera {
namespace {

using testing::expect_close;
using testing::expect_equal;
using testing::expect_values;

const RandomKey kKey{42};

TEST(Uniform, IsAFunctionOfKeyAndElement) {
  const Tensor x = uniform({1003}, kKey);
  const std::vector<float> values = x.to_vector<float>();
  for (size_t i : {size_t{0}, size_t{5}, size_t{1002}}) {
    EXPECT_EQ(values[i], uniform_from(philox(42, i / 4).word[i % 4]));
  }
  expect_equal(reshape(uniform({17, 59}, kKey), {1003}), x);
  expect_equal(slice(x, 0, 0, 10), uniform({10}, kKey));
  EXPECT_NE(uniform({1}, RandomKey{43}).item<float>(), values[0]);
  expect_equal(uniform({1003}, kKey, {.dtype = DType::f64}).to(DType::f32), x);
  expect_equal(uniform({1003}, kKey, {.dtype = DType::bf16}), x.to(DType::bf16));
}

TEST(Uniform, StaysInsideItsBounds) {
  for (DType dtype : {DType::f32, DType::f64}) {
    const Tensor x = uniform({20000}, kKey, {.dtype = dtype}, 1e7, 1e7 + 2);
    EXPECT_GE(min(x).item<double>(), 1e7);
    EXPECT_LT(max(x).item<double>(), 1e7 + 2);
  }
  EXPECT_NEAR(mean(uniform({20000}, kKey, {}, -3, 5)).item<double>(), 1,
              6 * 8 / std::sqrt(12 * 2e4));
  EXPECT_ERROR(uniform({2}, kKey, {}, 1, 1), ValueError,
               "uniform: low is 1, which is not below high 1");
  EXPECT_ERROR(uniform({2}, kKey, {.dtype = DType::i64}), DTypeError,
               "uniform: dtype is i64, but must be floating");
}

TEST(Normal, HasItsMoments) {
  const Tensor x = normal({40000}, kKey);
  EXPECT_NEAR(mean(x).item<double>(), 0, 5 / std::sqrt(4e4));
  EXPECT_NEAR(var(x).item<double>(), 1, 5 * std::sqrt(2 / 4e4));
  EXPECT_NEAR(mean(square(square(x))).item<double>(), 3, 5 * std::sqrt(96 / 4e4));
}

TEST(TruncatedNormal, FollowsItsDistribution) {
  const double bound = 2, std = 0.02;
  const int64_t n = 40000;
  for (DType dtype : {DType::f32, DType::f64}) {
    std::vector<double> z =
        truncated_normal({n}, kKey, std, bound, {.dtype = dtype}).to_vector<double>();
    std::sort(z.begin(), z.end());
    EXPECT_GE(z.front(), -bound * std * (1 + 1e-7));
    EXPECT_LE(z.back(), bound * std * (1 + 1e-7));
    const double cut = std::erfc(bound / std::sqrt(2.0)) / 2;
    double distance = 0;  // Kolmogorov's
    for (size_t i = 0; i < z.size(); ++i) {
      const double p = (std::erfc(-z[i] / std / std::sqrt(2.0)) / 2 - cut) / (1 - 2 * cut);
      distance = std::max(distance, std::fabs(p - (static_cast<double>(i) + 0.5) / n));
    }
    EXPECT_LT(distance, 1.95 / std::sqrt(n));  // exceeded once in a thousand keys
  }
  // The quantile inverts the distribution, far out too: u is known from the key.
  for (double wide : {1.0, 4.0, 12.0}) {
    const double cut = std::erfc(wide / std::sqrt(2.0)) / 2;
    const std::vector<double> u = uniform({5000}, kKey, {.dtype = DType::f64}).to_vector<double>();
    const std::vector<double> z =
        truncated_normal({5000}, kKey, 1, wide, {.dtype = DType::f64}).to_vector<double>();
    for (size_t i = 0; i < u.size(); ++i) {
      const double p = cut + (1 - 2 * cut) * (u[i] + 0x1p-26);
      // A relative error e of z is one of e z^2 in a tail's probability; z reaches 8.2.
      EXPECT_NEAR(std::erfc(-z[i] / std::sqrt(2.0)) / 2, p, 2e-8 * std::min(p, 1 - p) + 1e-15);
    }
  }
  EXPECT_ERROR(truncated_normal({2}, kKey, -1, 2), ValueError,
               "truncated_normal: std is -1, but must be at least 0 and finite");
  EXPECT_ERROR(truncated_normal({2}, kKey, 1, 0), ValueError,
               "truncated_normal: bound is 0, but must be positive");
}

TEST(Bernoulli, IsTrueWithItsProbability) {
  const Tensor x = bernoulli({20000}, kKey, 0.3);
  EXPECT_EQ(x.dtype(), DType::boolean);
  EXPECT_NEAR(mean(x.to(DType::f32)).item<double>(), 0.3, 5 * std::sqrt(0.21 / 2e4));
  EXPECT_EQ(sum(bernoulli({100}, kKey, 0).to(DType::i64)).item<int64_t>(), 0);
  EXPECT_EQ(sum(bernoulli({100}, kKey, 1).to(DType::i64)).item<int64_t>(), 100);
  EXPECT_ERROR(bernoulli({2}, kKey, 1.5), ValueError, "bernoulli: p is 1.5, but must be in [0, 1]");
}

TEST(RandPerm, IsAPermutation) {
  std::vector<int64_t> p = randperm(1000, kKey).to_vector<int64_t>();
  EXPECT_FALSE(std::is_sorted(p.begin(), p.end()));
  std::sort(p.begin(), p.end());
  for (size_t i = 0; i < p.size(); ++i) EXPECT_EQ(p[i], static_cast<int64_t>(i));
  EXPECT_EQ(randperm(0, kKey).numel(), 0);
  expect_equal(randperm(20, kKey), randperm(20, kKey));
}

TEST(Generator, TakesTheNextKey) {
  Generator a(1), b(1);
  const Tensor first = randn({4}, a);
  expect_equal(randn({4}, b), first);
  EXPECT_NE(randn({4}, a).to_vector<float>(), first.to_vector<float>());
}

TEST(Dropout, EqualsItsComposition) {
  for (DType dtype : {DType::f64, DType::f32}) {
    const Tensor x = testing::random({13, 17}, 1, dtype);
    const Tensor y = dropout(x, 0.3, kKey);
    expect_close(y, composed::dropout(x, 0.3, kKey), testing::tolerance(dtype, 1, 4));
    for (const auto& [layout, view] : testing::layouts(x)) {
      expect_equal(dropout(view, 0.3, kKey), y, layout);
    }
  }
  const Tensor x = ones({20000});
  EXPECT_TRUE(dropout(x, 0, kKey).is(x));
  EXPECT_NEAR(mean(dropout(x, 0.25, kKey)).item<double>(), 1, 5 * std::sqrt(1.0 / 3 / 2e4));
  EXPECT_EQ(dropout(x.to(DType::bf16), 0.5, kKey).dtype(), DType::bf16);
  EXPECT_ERROR(dropout(x, 1, kKey), ValueError, "dropout: p is 1, but must be in [0, 1)");
}

TEST(DropPath, DrawsOnceASample) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < 5000; ++i) ids.insert(ids.end(), {i, i});
  ids.push_back(0);
  const std::vector<float> scale = drop_path_scale(ids, 0.2, kKey).to_vector<float>();
  double kept = 0;
  for (size_t i = 0; i < 10000; i += 2) {
    EXPECT_EQ(scale[i], scale[i + 1]);
    EXPECT_TRUE(scale[i] == 0 || scale[i] == 1.25f);
    kept += scale[i] != 0;
  }
  EXPECT_EQ(scale.back(), scale.front());  // of the same sample, wherever the row is
  EXPECT_NEAR(kept / 5000, 0.8, 5 * std::sqrt(0.16 / 5000));
  const Tensor x = ones({2, 3});
  expect_values(drop_path(x, from_values({0, 2})), {2, 3}, {0, 0, 0, 2, 2, 2});
  EXPECT_ERROR(drop_path(x, ones({3})), ShapeError,
               "drop_path: row_scale is (3), but x is (2, 3): it needs one factor a row");
}

}  // namespace
}  // namespace tessera
