#include "beit3/data/masking.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

int64_t count(const std::vector<uint8_t>& mask) {
  return std::accumulate(mask.begin(), mask.end(), int64_t{0});
}

/// Share of masked cells whose right neighbour is masked as well.
double cohesion(const std::vector<uint8_t>& mask, int64_t rows, int64_t columns) {
  double together = 0, all = 0;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c + 1 < columns; ++c) {
      if (!mask[static_cast<size_t>(r * columns + c)]) continue;
      ++all;
      together += mask[static_cast<size_t>(r * columns + c + 1)];
    }
  }
  return together / all;
}

TEST(BlockMask, MasksExactlyAsManyAsAskedFor) {
  for (uint64_t i = 0; i < 300; ++i) {
    EXPECT_EQ(count(block_mask({}, RandomKey{i})), 75);
    const BlockMaskOptions small{
        .rows = 8, .columns = 8, .masked = 26, .min_block = 4, .max_block = 6};
    EXPECT_EQ(count(block_mask(small, RandomKey{i})), 26);
    const BlockMaskOptions odd{.rows = 3, .columns = 5, .masked = static_cast<int64_t>(i % 16)};
    EXPECT_EQ(count(block_mask(odd, RandomKey{i})), static_cast<int64_t>(i % 16));
  }
}

TEST(BlockMask, MasksBlocksOfTheSizeAskedFor) {
  double wide = 0, narrow = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    wide += cohesion(block_mask({}, RandomKey{i}), 14, 14) / 200;
    narrow += cohesion(block_mask({.min_block = 1, .max_block = 1}, RandomKey{i}), 14, 14) / 200;
  }
  // Independent cells touch with the share of masked ones, 75 / 196; blocks far more often.
  EXPECT_GT(wide, 0.70);
  EXPECT_NEAR(narrow, 75.0 / 196, 0.05);
}

TEST(BlockMask, IsAFunctionOfItsKeyAndReachesEveryCell) {
  EXPECT_EQ(block_mask({}, RandomKey{3}), block_mask({}, RandomKey{3}));
  EXPECT_NE(block_mask({}, RandomKey{3}), block_mask({}, RandomKey{4}));
  std::vector<double> share(196);
  for (uint64_t i = 0; i < 500; ++i) {
    const auto mask = block_mask({}, RandomKey{i});
    for (size_t c = 0; c < 196; ++c) share[c] += mask[c] / 500.0;
  }
  EXPECT_GT(*std::min_element(share.begin(), share.end()), 0.01);  // corners are rarest
  EXPECT_LT(*std::max_element(share.begin(), share.end()), 0.85);  // the middle is not always
}

TEST(BlockMask, RefusesWhatCannotBe) {
  EXPECT_THROW(block_mask({.rows = 2, .columns = 2, .masked = 5}, {}), ValueError);
  EXPECT_THROW(block_mask({.masked = -1}, {}), ValueError);
  EXPECT_THROW(block_mask({.rows = 0}, {}), ValueError);
  EXPECT_THROW(block_mask({.min_aspect = 0}, {}), ValueError);
}

TEST(TextMask, CountsAreRoundedHalfToEvenAndAtLeastOne) {
  EXPECT_EQ(mask_count(0, 0.5), 0);
  EXPECT_EQ(mask_count(1, 0.15), 1);
  EXPECT_EQ(mask_count(5, 0.5), 2);    // 2.5
  EXPECT_EQ(mask_count(7, 0.5), 4);    // 3.5
  EXPECT_EQ(mask_count(10, 0.15), 2);  // 1.5
  EXPECT_EQ(mask_count(9, 1.0), 9);
  EXPECT_EQ(mask_count(9, 0.0), 1);
  EXPECT_THROW(mask_count(9, 1.5), ValueError);
}

TEST(TextMask, ChoosesEachPositionEquallyOften) {
  const std::vector<int64_t> eligible = {1, 2, 4, 5, 7, 9, 10, 12};
  std::vector<int> hits(13);
  constexpr int kDraws = 4000;
  for (uint64_t i = 0; i < kDraws; ++i) {
    const auto chosen = text_mask(eligible, 0.25, RandomKey{9}.fold(i));
    ASSERT_EQ(chosen.size(), 2u);
    ASSERT_LT(chosen[0], chosen[1]);
    for (const int64_t p : chosen) ++hits[static_cast<size_t>(p)];
  }
  const double sigma = std::sqrt(kDraws * 0.25 * 0.75);
  for (const int64_t p : eligible) EXPECT_NEAR(hits[static_cast<size_t>(p)], 1000, 4.5 * sigma);
  EXPECT_EQ(hits[3] + hits[6] + hits[0], 0);
  EXPECT_TRUE(text_mask({}, 0.5, RandomKey{1}).empty());
  EXPECT_EQ(text_mask(eligible, 0.5, RandomKey{1}), text_mask(eligible, 0.5, RandomKey{1}));
}

}  // namespace
}  // namespace tessera::beit3
