#include "beit3/text/byte_trie.h"

#include <algorithm>

#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

constexpr uint32_t kBlock = 256;
constexpr uint32_t kOpenBlocks =
    16;  // older blocks are nearly full: searching them only costs time
constexpr uint32_t kNone = 0xFFFFFFFF;

bool fits_offset_field(uint32_t distance) {
  return distance < (1u << 21) || (distance < (1u << 29) && distance % kBlock == 0);
}

}  // namespace

SlotAllocator::SlotAllocator() : first_free_(kNone) {
  add_block();
  take(0);  // the root
}

void SlotAllocator::add_block() {
  const auto begin = static_cast<uint32_t>(used_.size());
  check<InternalError>(begin < (1u << 30), "byte_trie: more than 2^30 slots");
  // Blocks that leave the window give up their free slots.
  if (begin >= kOpenBlocks * kBlock) {
    const uint32_t old = begin - kOpenBlocks * kBlock;
    for (uint32_t slot = old; slot < old + kBlock; ++slot) {
      if (!used_[slot]) take(slot);
    }
  }
  used_.resize(begin + kBlock, 0);
  is_base_.resize(begin + kBlock, 0);
  next_.resize(begin + kBlock);
  previous_.resize(begin + kBlock);
  for (uint32_t slot = begin; slot < begin + kBlock; ++slot) {
    next_[slot] = slot + 1;
    previous_[slot] = slot - 1;
  }
  // The list is circular.
  const uint32_t last = begin + kBlock - 1;
  if (first_free_ == kNone) {
    first_free_ = begin;
    next_[last] = begin;
    previous_[begin] = last;
  } else {
    const uint32_t tail = previous_[first_free_];
    next_[tail] = begin;
    previous_[begin] = tail;
    next_[last] = first_free_;
    previous_[first_free_] = last;
  }
}

void SlotAllocator::take(uint32_t slot) {
  used_[slot] = 1;
  if (next_[slot] == slot) {
    first_free_ = kNone;
    return;
  }
  next_[previous_[slot]] = next_[slot];
  previous_[next_[slot]] = previous_[slot];
  if (first_free_ == slot) first_free_ = next_[slot];
}

uint32_t SlotAllocator::place(std::span<const uint8_t> labels, int64_t field_of) {
  const auto acceptable = [&](uint32_t base) {
    if (is_base_[base]) return false;
    if (field_of >= 0 && !fits_offset_field(static_cast<uint32_t>(field_of) ^ base)) return false;
    return std::all_of(labels.begin() + 1, labels.end(),
                       [&](uint8_t label) { return !used_[base ^ label]; });
  };
  uint32_t base = kNone;
  if (first_free_ != kNone) {
    uint32_t slot = first_free_;
    do {
      if (const uint32_t candidate = slot ^ labels[0]; acceptable(candidate)) {
        base = candidate;
        break;
      }
      slot = next_[slot];
    } while (slot != first_free_);
  }
  if (base == kNone) {
    base = static_cast<uint32_t>(size());
    if (field_of >= 0) base |= static_cast<uint32_t>(field_of) % kBlock;  // a multiple of 256 apart
    add_block();
  }
  is_base_[base] = 1;
  for (const uint8_t label : labels) take(base ^ label);
  return base;
}

uint32_t SlotAllocator::barren_base() {
  const auto base = static_cast<uint32_t>(size());
  add_block();
  for (uint32_t slot = base; slot < base + kBlock; ++slot) take(slot);
  return base;
}

ByteTrie::ByteTrie(std::vector<Entry> entries) {
  if (entries.empty()) return;
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.key < b.key; });
  for (size_t i = 0; i < entries.size(); ++i) {
    check<InternalError>(!entries[i].key.empty() && entries[i].value < kNoValue &&
                             (i == 0 || entries[i - 1].key != entries[i].key),
                         "byte_trie: key {} is empty or repeated, or its value is too large", i);
  }
  SlotAllocator slots;
  const uint32_t barren = slots.barren_base();
  const auto grow = [&] { units_.resize(slots.size(), kLabelMask); };
  const auto set = [&](uint32_t slot, uint64_t base, uint64_t value, uint64_t label) {
    units_[slot] = base << kBaseShift | value << kValueShift | label;
  };

  // A node is the run of keys that share its first `depth` bytes.
  struct Node {
    size_t begin, end, depth;
    uint32_t slot;
  };
  std::vector<Node> todo{{0, entries.size(), 0, 0}};
  std::vector<uint8_t> labels;
  std::vector<size_t> starts;
  while (!todo.empty()) {
    Node node = todo.back();
    todo.pop_back();
    uint64_t value = kNoValue;
    uint64_t label = kLabelMask;  // the root is nobody's child, not even that of a zero byte
    if (node.depth > 0) {
      const Entry& first = entries[node.begin];
      label = static_cast<unsigned char>(first.key[node.depth - 1]);
      if (first.key.size() == node.depth) {
        value = first.value;
        ++node.begin;
      }
    }
    labels.clear();
    starts.clear();
    for (size_t i = node.begin; i < node.end; ++i) {
      const auto next = static_cast<uint8_t>(entries[i].key[node.depth]);
      if (labels.empty() || labels.back() != next) {
        labels.push_back(next);
        starts.push_back(i);
      }
    }
    const uint32_t base = labels.empty() ? barren : slots.place(labels);
    grow();
    set(node.slot, base, value, label);
    starts.push_back(node.end);
    for (size_t i = labels.size(); i-- > 0;) {
      todo.push_back({starts[i], starts[i + 1], node.depth + 1, base ^ labels[i]});
    }
  }
}

}  // namespace tessera::beit3
