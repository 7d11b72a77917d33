#include "tensor/base/parallel.h"

#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace tessera {
namespace {

/// One thread, two, and more than a small machine has cores: some of those always come late.
class Parallel : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override { set_thread_count(GetParam()); }
  void TearDown() override { set_thread_count(before_); }

 private:
  const int before_ = thread_count();
};

TEST_P(Parallel, RunsEachChunkOnceInEachOfManyRegions) {
  constexpr int64_t kRegions = 3000;
  for (int64_t region = 0; region < kRegions; ++region) {
    const int64_t chunks = 1 + region % 37;
    std::vector<std::atomic<int>> runs(static_cast<size_t>(chunks));
    parallel_for(chunks, [&](int64_t i) { ++runs[static_cast<size_t>(i)]; });
    // Nobody may still be at work: the counters end here.
    for (const auto& count : runs) ASSERT_EQ(count.load(), 1) << "region " << region;
  }
}

TEST_P(Parallel, RunsAfterItsWorkersFellAsleep) {
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::atomic<int64_t> sum{0};
    parallel_for(100, [&](int64_t chunk) { sum += chunk; });
    EXPECT_EQ(sum.load(), 4950);
  }
}

TEST_P(Parallel, HandsAnExceptionToTheCallerWhenNoBodyRunsAnyMore) {
  std::atomic<int> begun{0}, ended{0};
  try {
    parallel_for(64, [&](int64_t i) {
      if (i == 5) throw std::runtime_error("chunk 5");
      ++begun;
      std::this_thread::sleep_for(std::chrono::microseconds(100));
      ++ended;
    });
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& e) {
    EXPECT_STREQ(e.what(), "chunk 5");
  }
  const int at_once = ended.load();
  EXPECT_EQ(begun.load(), at_once);
  EXPECT_GE(at_once, 5) << "chunks begin in order";
}

TEST_P(Parallel, RunsARegionInsideARegionInPlace) {
  std::atomic<int> inner{0};
  parallel_for(8, [&](int64_t) {
    const auto here = std::this_thread::get_id();
    parallel_for(4, [&](int64_t) {
      EXPECT_EQ(std::this_thread::get_id(), here);
      ++inner;
    });
  });
  EXPECT_EQ(inner.load(), 32);
}

TEST_P(Parallel, TreatsDenormalsAsZeroInEveryChunk) {
  volatile float tiny = std::numeric_limits<float>::denorm_min();
  for (int64_t chunks : {1, 50}) {
    std::atomic<int> zeros{0};
    parallel_for(chunks, [&](int64_t) { zeros += tiny + tiny == 0.0f; });
#if defined(__x86_64__)
    EXPECT_EQ(zeros.load(), chunks);
#endif
  }
  EXPECT_GT(tiny + tiny, 0.0f) << "outside of a region";
}

TEST_P(Parallel, ServesSeveralCallersInTurn) {
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 3; ++c) {
    callers.emplace_back([&] {
      for (int i = 0; i < 200; ++i) parallel_for(10, [&](int64_t chunk) { sum += chunk; });
    });
  }
  for (std::thread& t : callers) t.join();
  EXPECT_EQ(sum.load(), 3 * 200 * 45);
}

INSTANTIATE_TEST_SUITE_P(Threads, Parallel, ::testing::Values(1, 2, 8),
                         [](const auto& test) { return "Of" + std::to_string(test.param); });

}  // namespace
}  // namespace tessera
