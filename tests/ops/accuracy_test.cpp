// What docs/numerics.md grants functions of one number, over the whole range of f32, and what it
// says of the ends of the range.

#include <bit>
#include <cmath>
#include <limits>

#include "tests/testing/tensors.h"

namespace tessera::testing {
namespace {

struct Accuracy {
  const char* name;
  Tensor (*op)(const Tensor&);
  double (*exact)(double);
  double units;  ///< of its result, as in tests/testing/rounded.h
};
const Accuracy kFunctions[] = {
    {"exp", exp, std::exp, 2},    {"log", log, std::log, 2}, {"tanh", tanh, std::tanh, 2},
    {"erf", erf, std::erf, 3},    {"sin", sin, std::sin, 2}, {"cos", cos, std::cos, 2},
    {"sqrt", sqrt, std::sqrt, 1},
};

/// Every 1,009th pattern of bits that is a normal number.
Tensor spread_numbers() {
  std::vector<float> values;
  for (uint64_t bits = 0; bits < 0x1p32; bits += 1009) {
    const auto x = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (std::isnormal(x)) values.push_back(x);
  }
  return from_data(values, {static_cast<int64_t>(values.size())});
}

TEST(Accuracy, FunctionsAreWithinTheirUnitsOverAllOfF32) {
  constexpr double kSmallest = std::numeric_limits<float>::min();
  const Tensor x = spread_numbers();
  ASSERT_GT(x.numel(), 4'000'000);
  const std::vector<float> in = x.to_vector<float>();
  for (const Accuracy& f : kFunctions) {
    const std::vector<float> out = f.op(x).to_vector<float>();
    double worst = 0, worst_at = 0;
    for (size_t i = 0; i < in.size(); ++i) {
      const double expected = f.exact(in[i]);
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(out[i])) << f.name << "(" << in[i] << ") is " << out[i];
        continue;
      }
      if (static_cast<float>(expected) == out[i]) continue;
      // Results below the smallest normal number may be 0.
      if (std::fabs(expected) < kSmallest && std::fabs(out[i]) <= kSmallest) continue;
      const double last_place = std::ldexp(0x1p-23, std::ilogb(expected));
      const double error = std::fabs(out[i] - expected) / last_place;
      if (error <= worst) continue;
      worst = error;
      worst_at = in[i];
    }
    EXPECT_LE(worst, f.units) << f.name << " at " << worst_at;
    RecordProperty(f.name, std::to_string(worst));
  }
}

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Equal elements; NaN equals NaN.
void expect_ends(const Tensor& x, const std::vector<double>& expected) {
  expect_close(x, from_data(expected, x.shape()), 0);
}

TEST(Accuracy, NumbersEndAsDocumented) {
  expect_ends(exp(from_values({-1e4, -104, 88.8, kInf, -kInf})), {0, 0, kInf, kInf, 0});
  EXPECT_LT(exp(from_values({-87.4})).item<float>(), std::numeric_limits<float>::min());
  EXPECT_GT(exp(from_values({-87.3})).item<float>(), 0);
  EXPECT_LT(exp(from_values({88.7})).item<float>(), kInf);
  expect_ends(log(from_values({0, -1, kInf})), {-kInf, kNan, kInf});
  const Tensor with_nan = from_values({kNan, 1});
  expect_ends(relu(with_nan), {kNan, 1});
  expect_ends(clamp(with_nan, -2, 2), {kNan, 1});
  expect_ends(maximum(with_nan, from_values({0, kNan})), {kNan, kNan});
  expect_ends(max(with_nan), {kNan});
  expect_ends(softmax(from_values({-kInf, -kInf})), {kNan, kNan});
  expect_ends(softmax(from_values({-kInf, 0})), {0, 1});
  expect_ends(var(full({3}, 0.5)), {0});
  // The mean of three times 0.1 is rounded; so much remains.
  EXPECT_LT(var(full({3}, 0.1)).item<float>(), 0x1p-46 * 0.1 * 0.1);
  expect_ends(layer_norm(full({1, 3}, 5.0), ones({3}), from_values({1, 2, 3})), {1, 2, 3});
  const Tensor nothing = zeros({0});
  expect_ends(sum(nothing), {0});
  expect_ends(mean(nothing), {kNan});
  expect_ends(max(nothing), {-kInf});
}

}  // namespace
}  // namespace tessera::testing
