#include "nn/optim/schedule.h"

#include <gtest/gtest.h>

#include "tests/testing/errors.h"

namespace {

using namespace tessera;
using namespace tessera::nn;

TEST(Schedule, InclusiveHasTheReleasedRecipesValues) {
  // 4 epochs of 5 steps, one of them warm-up; recorded from the reference.
  const CosineSchedule s{.peak = 1e-3, .floor = 1e-6, .warmup = 5, .total = 20};
  const double first[] = {0, 2.5e-4, 5e-4, 7.5e-4, 1e-3, 1e-3, 9.89084727e-4, 9.56815956e-4};
  for (int i = 0; i < 8; ++i) {
    EXPECT_NEAR(warmup_cosine_inclusive(s, i), first[i], 5e-13) << "step " << i;
  }
  EXPECT_NEAR(warmup_cosine_inclusive(s, 18), 4.41840439e-5, 5e-14);
  EXPECT_NEAR(warmup_cosine_inclusive(s, 19), 1.19152734e-5, 5e-14);
  EXPECT_EQ(warmup_cosine_inclusive(s, 20), 1e-6);
  EXPECT_EQ(warmup_cosine_inclusive(s, 1000), 1e-6);
}

TEST(Schedule, InclusiveWithoutRoomForAWarmup) {
  EXPECT_EQ(warmup_cosine_inclusive({.peak = 1, .floor = 0, .warmup = 1, .total = 3}, 0), 0);
  EXPECT_EQ(warmup_cosine_inclusive({.peak = 1, .floor = 0, .warmup = 1, .total = 3}, 1), 1);
  EXPECT_EQ(warmup_cosine_inclusive({.peak = 1, .floor = 0, .warmup = 0, .total = 3}, 0), 1);
  EXPECT_EQ(warmup_cosine_inclusive({.peak = 1, .floor = 0.5, .warmup = 3, .total = 3}, 3), 0.5);
}

TEST(Schedule, PlainLearnsFromTheFirstStepAndHasOnePeak) {
  const CosineSchedule s{.peak = 1, .floor = 0, .warmup = 4, .total = 8};
  const double expected[] = {0.25,
                             0.5,
                             0.75,
                             1,
                             0.9045084971874737,
                             0.6545084971874737,
                             0.3454915028125263,
                             0.09549150281252627,
                             0,
                             0};
  for (int i = 0; i < 10; ++i) EXPECT_NEAR(warmup_cosine(s, i), expected[i], 1e-15) << i;
  EXPECT_EQ(warmup_cosine({.peak = 1, .floor = 0, .warmup = 0, .total = 2}, 0), 1);
  EXPECT_NEAR(warmup_cosine({.peak = 1, .floor = 0, .warmup = 0, .total = 2}, 1), 0.5, 1e-15);
}

TEST(Schedule, RefusesWhatMakesNoSense) {
  EXPECT_ERROR(warmup_cosine({.warmup = 5, .total = 4}, 0), ValueError,
               "schedule: 5 steps of warm-up in 4 steps");
  EXPECT_ERROR(warmup_cosine_inclusive({.total = 4}, -1), ValueError,
               "schedule: step is -1, but counts from 0");
}

}  // namespace
