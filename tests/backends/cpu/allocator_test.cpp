#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "backends/cpu/caching_allocator.h"
#include "tensor/base/error.h"
#include "tensor/base/rng.h"

namespace tessera {
namespace {

TEST(CachingAllocator, AlignedDistinctAndCounted) {
  CachingAllocator allocator;
  std::vector<void*> blocks;
  size_t live = 0;
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{4096},
                       size_t{100000}, size_t{3} << 20, size_t{40} << 20}) {
    void* p = allocator.allocate(bytes);
    ASSERT_NE(p, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 64, 0u);
    for (void* other : blocks) EXPECT_NE(p, other);
    std::memset(p, 0xAB, bytes);
    blocks.push_back(p);
    live += bytes;
    EXPECT_EQ(allocator.stats().live_bytes, live);
  }
  EXPECT_EQ(allocator.stats().peak_bytes, live);
  for (void* p : blocks) allocator.free(p);
  EXPECT_EQ(allocator.stats().live_bytes, 0u);
  EXPECT_EQ(allocator.stats().peak_bytes, live);
  allocator.reset_peak();
  EXPECT_EQ(allocator.stats().peak_bytes, 0u);
  allocator.free(nullptr);
}

TEST(CachingAllocator, ReusesUntilItIsAskedToRelease) {
  CachingAllocator allocator;
  void* p = allocator.allocate(5 << 20);
  allocator.free(p);
  const MemoryStats before = allocator.stats();
  EXPECT_GE(before.cached_bytes, size_t{5} << 20);
  EXPECT_EQ(allocator.allocate(5 << 20), p);
  EXPECT_EQ(allocator.stats().system_allocations, before.system_allocations);

  void* keeps_a_region = allocator.allocate(100);
  allocator.free(p);
  allocator.free(keeps_a_region);
  allocator.release_cache();
  EXPECT_EQ(allocator.stats().cached_bytes, 0u);
  p = allocator.allocate(1000);
  EXPECT_EQ(allocator.stats().system_allocations, before.system_allocations + 1);
  allocator.release_cache();  // a live block holds its region
  EXPECT_GT(allocator.stats().cached_bytes, 0u);
  std::memset(p, 1, 1000);
  allocator.free(p);
}

/// A size that is no bin's least finds its own block again, though larger ones lie free beside it.
TEST(CachingAllocator, TakesTheBlockOfJustTheSize) {
  CachingAllocator allocator;
  constexpr size_t kBytes = 100'000;  // all in one region, one after the other
  void* large = allocator.allocate(kBytes + kBytes / 4);
  void* apart = allocator.allocate(100);
  void* same = allocator.allocate(kBytes);
  void* behind = allocator.allocate(100);
  allocator.free(same);
  allocator.free(large);
  EXPECT_EQ(allocator.allocate(kBytes), same);
  for (void* p : {same, apart, behind}) allocator.free(p);
}

/// The second round of the same requests asks the system for nothing.
TEST(CachingAllocator, ASteadyRoundTakesNothingFromTheSystem) {
  CachingAllocator allocator;
  auto round = [&] {
    std::vector<void*> blocks;
    RandomStream stream(RandomKey{3});
    for (int i = 0; i < 2000; ++i) {
      if (blocks.size() > 50 && stream.chance(0.5)) {
        const size_t at = static_cast<size_t>(stream.integer(static_cast<int64_t>(blocks.size())));
        allocator.free(blocks[at]);
        blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(at));
      }
      blocks.push_back(allocator.allocate(static_cast<size_t>(stream.integer(300000))));
    }
    for (void* p : blocks) allocator.free(p);
  };
  round();
  const int64_t taken = allocator.stats().system_allocations;
  for (int i = 0; i < 5; ++i) round();
  EXPECT_EQ(allocator.stats().system_allocations, taken);
  EXPECT_EQ(allocator.stats().live_bytes, 0u);
  allocator.release_cache();  // all free neighbours were joined again
  EXPECT_EQ(allocator.stats().cached_bytes, 0u);
}

TEST(CachingAllocator, BlocksDoNotOverlap) {
  CachingAllocator allocator;
  struct Block {
    unsigned char* p;
    size_t bytes;
    unsigned char value;
  };
  std::vector<Block> blocks;
  RandomStream stream(RandomKey{9});
  for (int i = 0; i < 5000; ++i) {
    if (blocks.size() > 100 || (!blocks.empty() && stream.chance(0.4))) {
      const size_t at = static_cast<size_t>(stream.integer(static_cast<int64_t>(blocks.size())));
      const Block b = blocks[at];
      for (size_t k = 0; k < b.bytes; ++k) ASSERT_EQ(b.p[k], b.value);
      allocator.free(b.p);
      blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(at));
      continue;
    }
    const size_t bytes = static_cast<size_t>(stream.integer(int64_t{1} << stream.integer(17)));
    const Block b{static_cast<unsigned char*>(allocator.allocate(bytes)), bytes,
                  static_cast<unsigned char>(i)};
    std::memset(b.p, b.value, bytes);
    blocks.push_back(b);
  }
  for (const Block& b : blocks) allocator.free(b.p);
}

TEST(CachingAllocator, OutOfMemorySaysWhatIsGoingOn) {
  CachingAllocator allocator;
  void* live = allocator.allocate(1000);
  try {
    allocator.allocate(size_t{1} << 60);
    FAIL() << "no exception";
  } catch (const OutOfMemory& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("1152921504606846976 bytes requested, 1000 live"), std::string::npos)
        << text;
  }
  EXPECT_THROW(allocator.allocate(~size_t{0}), OutOfMemory);
  void* again = allocator.allocate(1000);  // still works
  EXPECT_EQ(allocator.stats().live_bytes, 2000u);
  allocator.free(again);
  allocator.free(live);
}

TEST(CachingAllocator, InjectedFailure) {
  CachingAllocator allocator;
  allocator.fail_after(2);
  void* p = allocator.allocate(10);
  EXPECT_THROW(allocator.allocate(10), OutOfMemory);
  void* q = allocator.allocate(10);
  allocator.free(p);
  allocator.free(q);
}

TEST(CachingAllocator, FillsFreshMemoryForTests) {
  CachingAllocator allocator;
  allocator.fill_fresh(0xA5);
  for (int round = 0; round < 2; ++round) {  // new memory, then memory that was in use
    auto* p = static_cast<unsigned char*>(allocator.allocate(1000));
    EXPECT_EQ(std::count(p, p + 1000, 0xA5), 1000);
    std::fill_n(p, 1000, static_cast<unsigned char>(0));
    allocator.free(p);
  }
  allocator.fill_fresh(-1);
  void* p = allocator.allocate(10);
  allocator.free(p);
}

TEST(CachingAllocator, ManyThreads) {
  CachingAllocator allocator;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      RandomStream stream(RandomKey{t});
      for (int i = 0; i < 3000; ++i) {
        const size_t bytes = static_cast<size_t>(stream.integer(5000)) + 1;
        unsigned char* p = static_cast<unsigned char*>(allocator.allocate(bytes));
        p[0] = p[bytes - 1] = static_cast<unsigned char>(t);
        EXPECT_EQ(p[0], t);
        allocator.free(p);
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(allocator.stats().live_bytes, 0u);
}

}  // namespace
}  // namespace tessera
