#include "beit3/data/sampler.h"

#include <algorithm>
#include <numeric>
#include <thread>

#include <gtest/gtest.h>

#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

TEST(EpochOrder, EveryEpochVisitsEveryItemOnce) {
  const EpochOrder order(57, RandomKey{4});
  std::vector<std::vector<int64_t>> epochs;
  for (int64_t e = 0; e < 4; ++e) {
    std::vector<int64_t> items;
    for (int64_t i = 0; i < 57; ++i) items.push_back(order.at(e * 57 + i));
    epochs.push_back(items);
    std::sort(items.begin(), items.end());
    for (int64_t i = 0; i < 57; ++i) EXPECT_EQ(items[static_cast<size_t>(i)], i);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
}

TEST(EpochOrder, DoesNotDependOnWhereReadingBegins) {
  const EpochOrder whole(100, RandomKey{4}), late(100, RandomKey{4});
  std::vector<int64_t> straight;
  for (int64_t step = 0; step < 60; ++step) {
    for (const int64_t i : whole.batch(step, 16)) straight.push_back(i);
  }
  for (int64_t step = 59; step >= 30; --step) {  // backwards, from the middle
    const auto batch = late.batch(step, 16);
    EXPECT_TRUE(std::equal(batch.begin(), batch.end(), straight.begin() + step * 16));
  }
  // Two ranks of 8 share what one of 16 has.
  for (int64_t step = 0; step < 10; ++step) {
    auto both = whole.batch(step, 8, 0, 2);
    const auto second = whole.batch(step, 8, 1, 2);
    both.insert(both.end(), second.begin(), second.end());
    EXPECT_EQ(both, whole.batch(step, 16));
  }
}

TEST(EpochOrder, ThreadsReadTheSame) {
  const EpochOrder order(1000, RandomKey{5}), alone(1000, RandomKey{5});
  std::vector<std::vector<int64_t>> seen(4);
  std::vector<std::thread> threads;
  for (auto& items : seen) {
    threads.emplace_back([&] {
      for (int64_t p = 0; p < 5000; p += 3) items.push_back(order.at(p));
    });
  }
  for (auto& thread : threads) thread.join();
  for (int64_t p = 0, i = 0; p < 5000; p += 3, ++i) {
    for (const auto& items : seen) ASSERT_EQ(items[static_cast<size_t>(i)], alone.at(p));
  }
}

TEST(EpochOrder, CanKeepTheOrder) {
  const EpochOrder order(3, RandomKey{1}, false);
  EXPECT_EQ(order.batch(1, 4), (std::vector<int64_t>{1, 2, 0, 1}));
  EXPECT_THROW(EpochOrder(0, RandomKey{}), ValueError);
  EXPECT_THROW(order.at(-1), IndexError);
}

}  // namespace
}  // namespace tessera::beit3
