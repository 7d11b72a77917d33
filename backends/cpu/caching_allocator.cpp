#include "backends/cpu/caching_allocator.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <sys/mman.h>

#include "tensor/base/error.h"

#if defined(__SANITIZE_ADDRESS__)
#define TESSERA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TESSERA_ASAN 1
#endif
#endif
#ifdef TESSERA_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace tessera {
namespace {

constexpr size_t kUnit = 64, kPage = size_t{2} << 20, kMaxGrowth = size_t{64} << 20;
constexpr size_t kMaxBytes = size_t{1} << 46;
constexpr int kLooks = 8;  // at blocks of a bin that may be too small

size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

#ifdef TESSERA_ASAN
void poison(void* p, size_t bytes) { ASAN_POISON_MEMORY_REGION(p, bytes); }
void unpoison(void* p, size_t bytes) { ASAN_UNPOISON_MEMORY_REGION(p, bytes); }
#else
void poison(void*, size_t) {}
void unpoison(void*, size_t) {}
#endif

struct Bin {
  int cls, sub;
};

/// The bin of a block of `units` units: below 16 one each, then 16 to a doubling.
Bin bin_of(size_t units) {
  if (units < 16) return {0, static_cast<int>(units)};
  const int log = std::bit_width(units) - 1;
  return {log - 3, static_cast<int>(units >> (log - 4) & 15u)};
}

/// The first bin all of whose blocks hold `units`.
Bin fitting_bin(size_t units) {
  if (units >= 16) units += (size_t{1} << (std::bit_width(units) - 5)) - 1;
  return bin_of(units);
}

/// `bytes` from the system, 2 MiB aligned; null if there are none.
void* map(size_t bytes) {
  const size_t padded = bytes + kPage;
  void* raw = mmap(nullptr, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const uintptr_t start = reinterpret_cast<uintptr_t>(raw);
  const uintptr_t aligned = round_up(start, kPage);
  if (aligned > start) munmap(raw, aligned - start);
  const size_t tail = start + padded - (aligned + bytes);
  if (tail > 0) munmap(reinterpret_cast<void*>(aligned + bytes), tail);
  void* p = reinterpret_cast<void*>(aligned);
#ifdef MADV_HUGEPAGE
  madvise(p, bytes, MADV_HUGEPAGE);  // a wish: without huge pages it works all the same
#endif
  return p;
}

}  // namespace

/// Stands before every block's memory. Neighbours are found by `bytes` and `before`.
struct alignas(kUnit) CachingAllocator::Block {
  enum State : uint64_t { kFree = 0x66726565, kLive = 0x6C697665, kEnd = 0x656E6400 };

  size_t bytes;   ///< with this header
  Block* before;  ///< the neighbour at lower addresses; null for a region's first
  Block *next_free, *previous_free;
  size_t requested;
  State state;

  char* memory() { return reinterpret_cast<char*>(this) + sizeof(Block); }
  size_t capacity() const { return bytes - sizeof(Block); }
  Block* after() { return reinterpret_cast<Block*>(reinterpret_cast<char*>(this) + bytes); }
};

/// Stands at the start of a region; its blocks follow, the last one an end mark.
struct alignas(kUnit) CachingAllocator::Region {
  Region* next;
  size_t bytes;

  Block* first() { return reinterpret_cast<Block*>(this + 1); }
  size_t block_bytes() const { return bytes - sizeof(Region) - sizeof(Block); }
  bool empty() { return first()->state == Block::kFree && first()->bytes == block_bytes(); }
};

CachingAllocator::~CachingAllocator() {
  while (regions_ != nullptr) {
    Region* region = regions_;
    regions_ = region->next;
    const size_t bytes = region->bytes;
    unpoison(region, bytes);
    munmap(region, bytes);
  }
}

void* CachingAllocator::allocate(size_t bytes) {
  const std::lock_guard lock(mutex_);
  const bool injected = fail_in_ > 0 && --fail_in_ == 0;
  Block* block = nullptr;
  if (bytes <= kMaxBytes && !injected) {
    const size_t total = round_up(std::max(bytes, kUnit), kUnit) + sizeof(Block);
    block = take(total);
    if (block == nullptr && grow(total)) block = take(total);
    if (block == nullptr && release_empty_regions() && grow(total)) block = take(total);
    if (block != nullptr) split(block, total);
  }
  check<OutOfMemory>(block != nullptr,
                     "out of memory on the CPU: {} bytes requested, {} live, {} cached (largest "
                     "free block {}); free tensors or use a smaller batch",
                     bytes, live_bytes_, mapped_bytes_ - used_bytes_, largest_free());
  block->state = Block::kLive;
  block->requested = bytes;
  used_bytes_ += block->bytes;
  live_bytes_ += bytes;
  peak_bytes_ = std::max(peak_bytes_, live_bytes_);
  unpoison(block->memory(), bytes);
  if (fresh_byte_ >= 0) std::memset(block->memory(), fresh_byte_, bytes);
  return block->memory();
}

void CachingAllocator::free(void* p) noexcept {
  if (p == nullptr) return;
  const std::lock_guard lock(mutex_);
  Block* block = reinterpret_cast<Block*>(static_cast<char*>(p) - sizeof(Block));
  if (block->state != Block::kLive) return;  // freed twice: harmless here, poisoned under ASan
  used_bytes_ -= block->bytes;
  live_bytes_ -= block->requested;
  block->state = Block::kFree;
  poison(block->memory(), block->capacity());
  if (Block* after = block->after(); after->state == Block::kFree) {
    remove(after);
    block->bytes += after->bytes;
    block->after()->before = block;
    poison(after, sizeof(Block));
  }
  if (Block* before = block->before; before != nullptr && before->state == Block::kFree) {
    remove(before);
    before->bytes += block->bytes;
    before->after()->before = before;
    poison(block, sizeof(Block));
    block = before;
  }
  insert(block);
}

MemoryStats CachingAllocator::stats() const {
  const std::lock_guard lock(mutex_);
  return {.live_bytes = live_bytes_,
          .peak_bytes = peak_bytes_,
          .cached_bytes = mapped_bytes_ - used_bytes_,
          .system_allocations = system_allocations_};
}

void CachingAllocator::reset_peak() {
  const std::lock_guard lock(mutex_);
  peak_bytes_ = live_bytes_;
}

void CachingAllocator::release_cache() {
  const std::lock_guard lock(mutex_);
  release_empty_regions();
}

void CachingAllocator::fail_after(int64_t count) {
  const std::lock_guard lock(mutex_);
  fail_in_ = count;
}

void CachingAllocator::fill_fresh(int byte) {
  const std::lock_guard lock(mutex_);
  fresh_byte_ = byte;
}

CachingAllocator::Block* CachingAllocator::take(size_t bytes) {
  // Sizes come again: what was given back a moment ago often fits to the byte, though not every
  // block of its bin does.
  const Bin own = bin_of(bytes / kUnit);
  Block* block = bins_[static_cast<size_t>(own.cls)][static_cast<size_t>(own.sub)];
  for (int i = 0; block != nullptr && i < kLooks; ++i, block = block->next_free) {
    if (block->bytes < bytes) continue;
    remove(block);
    return block;
  }
  const Bin at = fitting_bin(bytes / kUnit);
  int cls = at.cls;
  uint32_t subs = bin_map_[static_cast<size_t>(cls)] & (~0u << at.sub);
  if (subs == 0) {
    const uint64_t classes = class_map_ & (~uint64_t{0} << (cls + 1));
    if (classes == 0) return nullptr;
    cls = std::countr_zero(classes);
    subs = bin_map_[static_cast<size_t>(cls)];
  }
  const size_t sub = static_cast<size_t>(std::countr_zero(subs));
  block = bins_[static_cast<size_t>(cls)][sub];
  remove(block);
  return block;
}

void CachingAllocator::insert(Block* block) {
  const Bin at = bin_of(block->bytes / kUnit);
  const size_t cls = static_cast<size_t>(at.cls), sub = static_cast<size_t>(at.sub);
  Block*& head = bins_[cls][sub];
  block->previous_free = nullptr;
  block->next_free = head;
  if (head != nullptr) head->previous_free = block;
  head = block;
  bin_map_[cls] |= 1u << sub;
  class_map_ |= uint64_t{1} << cls;
}

void CachingAllocator::remove(Block* block) {
  const Bin at = bin_of(block->bytes / kUnit);
  const size_t cls = static_cast<size_t>(at.cls), sub = static_cast<size_t>(at.sub);
  if (block->next_free != nullptr) block->next_free->previous_free = block->previous_free;
  if (block->previous_free != nullptr) {
    block->previous_free->next_free = block->next_free;
    return;
  }
  bins_[cls][sub] = block->next_free;
  if (block->next_free != nullptr) return;
  bin_map_[cls] &= ~(1u << sub);
  if (bin_map_[cls] == 0) class_map_ &= ~(uint64_t{1} << cls);
}

/// Cuts a block that was just taken down to `bytes`; the rest becomes a free block.
void CachingAllocator::split(Block* block, size_t bytes) {
  if (block->bytes - bytes < sizeof(Block) + kUnit) return;
  Block* after = block->after();
  Block* rest = reinterpret_cast<Block*>(reinterpret_cast<char*>(block) + bytes);
  unpoison(rest, sizeof(Block));
  rest->bytes = block->bytes - bytes;
  rest->before = block;
  rest->requested = 0;
  rest->state = Block::kFree;
  block->bytes = bytes;
  after->before = rest;
  insert(rest);
}

/// Takes a new region from the system that surely has a block of `bytes`.
bool CachingAllocator::grow(size_t bytes) {
  // The search rounds up to the next bin, at most a sixteenth more.
  const size_t needed = bytes + bytes / 16 + sizeof(Region) + sizeof(Block);
  // Regions grow with the program, so that there are few of them and small programs stay small.
  const size_t growth = std::min(mapped_bytes_ / 4, kMaxGrowth);
  const size_t wanted = round_up(std::max({needed, growth, kPage}), kPage);
  const size_t least = round_up(needed, kPage);
  size_t total = wanted;
  void* p = map(total);
  if (p == nullptr && least < wanted) p = map(total = least);
  if (p == nullptr) return false;
  ++system_allocations_;
  mapped_bytes_ += total;
  Region* region = static_cast<Region*>(p);
  region->next = regions_;
  region->bytes = total;
  regions_ = region;
  Block* block = region->first();
  block->bytes = region->block_bytes();
  block->before = nullptr;
  block->requested = 0;
  block->state = Block::kFree;
  Block* end = block->after();
  end->bytes = sizeof(Block);
  end->before = block;
  end->state = Block::kEnd;
  poison(block->memory(), block->capacity());
  insert(block);
  return true;
}

bool CachingAllocator::release_empty_regions() {
  bool any = false;
  for (Region** link = &regions_; *link != nullptr;) {
    Region* region = *link;
    if (!region->empty()) {
      link = &region->next;
      continue;
    }
    *link = region->next;
    remove(region->first());
    const size_t bytes = region->bytes;
    mapped_bytes_ -= bytes;
    unpoison(region, bytes);
    munmap(region, bytes);
    any = true;
  }
  return any;
}

size_t CachingAllocator::largest_free() const {
  if (class_map_ == 0) return 0;
  const size_t cls = static_cast<size_t>(std::bit_width(class_map_) - 1);
  const size_t sub = static_cast<size_t>(std::bit_width(bin_map_[cls]) - 1);
  size_t largest = 0;
  for (const Block* b = bins_[cls][sub]; b != nullptr; b = b->next_free) {
    largest = std::max(largest, b->capacity());
  }
  return largest;
}

CachingAllocator& cpu_allocator() {
  static CachingAllocator* const allocator = new CachingAllocator;
  return *allocator;
}

}  // namespace tessera
