#include "beit3/pretrain/objective.h"

#include <cmath>

#include <gtest/gtest.h>

namespace tessera::beit3 {
namespace {

TEST(CodeWeights, HaveMeanOneOverPatches) {
  const std::vector<int64_t> counts{100, 10, 1, 0};
  for (double power : {0.0, 0.3, 1.0}) {
    const std::vector<float> w = code_weights(counts, power);
    double mean = 0;
    const double total = 100 + 10 + 1 + 1;
    for (size_t i = 0; i < w.size(); ++i) {
      mean +=
          static_cast<double>(w[i]) * static_cast<double>(std::max<int64_t>(counts[i], 1)) / total;
    }
    EXPECT_NEAR(mean, 1, 1e-6) << power;
  }
  const std::vector<float> w = code_weights(counts, 0.3);
  EXPECT_NEAR(w[1] / w[0], std::pow(10.0, 0.3), 1e-4);
}

TEST(PartResult, AddsUp) {
  PartResult a{2, 1, 3.0}, b{2, 2, 1.0};
  a.add(b);
  EXPECT_EQ(a.accuracy(), 0.75);
  EXPECT_EQ(a.loss(), 1.0);
  EXPECT_EQ(PartResult{}.accuracy(), 0);
}

}  // namespace
}  // namespace tessera::beit3
