#pragma once

#include <functional>

#include <gtest/gtest.h>

#include "backends/cpu/caching_allocator.h"
#include "tensor/base/error.h"

namespace tessera::testing {

/// Runs `work` with its n-th allocation failing, for n = 1, 1 + stride, …, until it has fewer
/// allocations than n and so succeeds. Each failure has to be an OutOfMemory; after it, once
/// `clean_up` dropped what the work may leave behind (gradients), the memory in use is what it was
/// before, and `expect_unchanged` looks at the rest. Returns how many runs failed.
///
/// What a first run keeps for later ones (derived forms of weights, optimizer state) should be
/// there already.
inline int64_t fail_allocations(const std::function<void()>& work,
                                const std::function<void()>& clean_up,
                                const std::function<void()>& expect_unchanged, int64_t stride = 1) {
  CachingAllocator& allocator = cpu_allocator();
  int64_t failures = 0;
  for (int64_t n = 1;; n += stride) {
    SCOPED_TRACE(::testing::Message() << "allocation " << n << " fails");
    const size_t live_bytes = allocator.stats().live_bytes;
    allocator.fail_after(n);
    try {
      work();
      allocator.fail_after(0);
      return failures;
    } catch (const OutOfMemory&) {
      ++failures;
    }
    clean_up();
    EXPECT_EQ(allocator.stats().live_bytes, live_bytes);
    expect_unchanged();
    if (::testing::Test::HasFailure()) return failures;
  }
}

}  // namespace tessera::testing
