#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "tensor/base/backend_types.h"

namespace tessera {

/// Memory for tensors and scratch, kept for reuse.
///
/// Regions of whole 2 MiB pages come from the system and are cut into blocks. Free blocks hang in
/// bins, 16 to a doubling. One of the first blocks of its own bin is taken if it fits, else the
/// first block of the first bin that surely does; it is split if it is too big, and joined with its
/// free neighbours when it comes back. All of that takes constant time. Nothing returns to the
/// system until `release_cache`. Thread safe.
///
/// Under AddressSanitizer, blocks that are not in use are poisoned.
class CachingAllocator {
 public:
  CachingAllocator() = default;
  ~CachingAllocator();
  CachingAllocator(const CachingAllocator&) = delete;
  CachingAllocator& operator=(const CachingAllocator&) = delete;

  /// 64-byte aligned, contents undefined; bytes = 0 gives a pointer of its own, too. Throws
  /// OutOfMemory with what was asked for, what is live, cached, and the largest free block.
  void* allocate(size_t bytes);
  /// Null is allowed.
  void free(void* p) noexcept;

  MemoryStats stats() const;
  void reset_peak();
  /// Gives every region without a live block back to the system.
  void release_cache();

  /// For tests: the `count`-th allocation from now on throws OutOfMemory, once. 0: none.
  void fail_after(int64_t count);
  /// For tests: from now on memory comes filled with `byte`, so that a read of what nobody wrote
  /// shows in the result. Negative: as it is.
  void fill_fresh(int byte);

 private:
  struct Block;
  struct Region;

  static constexpr int kSubBits = 4, kSubBins = 1 << kSubBits, kClasses = 44;

  Block* take(size_t bytes);
  void insert(Block* block);
  void remove(Block* block);
  void split(Block* block, size_t bytes);
  bool grow(size_t bytes);
  bool release_empty_regions();
  size_t largest_free() const;

  mutable std::mutex mutex_;
  uint64_t class_map_ = 0;                    ///< classes that have a free block
  std::array<uint32_t, kClasses> bin_map_{};  ///< per class, bins that have one
  std::array<std::array<Block*, kSubBins>, kClasses> bins_{};
  Region* regions_ = nullptr;
  size_t mapped_bytes_ = 0, used_bytes_ = 0, live_bytes_ = 0, peak_bytes_ = 0;
  int64_t system_allocations_ = 0, fail_in_ = 0;
  int fresh_byte_ = -1;
};

/// The allocator of the CPU backend; it outlives every static object.
CachingAllocator& cpu_allocator();

}  // namespace tessera
