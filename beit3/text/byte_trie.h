#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace tessera::beit3 {

/// Finds places for trie nodes in a double array whose child index is `base XOR label`.
///
/// Every node gets a base of its own; the slots `base XOR label` of its labels are free until then.
/// Only the newest blocks of 256 slots are searched, so that placing a node costs a bounded amount.
class SlotAllocator {
 public:
  SlotAllocator();

  /// A base for a node with these labels (0..255, ascending, not empty); its slots become used.
  /// With `field_of` >= 0, the base is one whose distance `field_of XOR base` fits the offset field
  /// of the charsmap format: below 2^21, or a multiple of 256 below 2^29.
  uint32_t place(std::span<const uint8_t> labels, int64_t field_of = -1);

  /// A base in a block whose slots stay unused: the child of no label exists.
  uint32_t barren_base();

  /// Number of slots so far, a multiple of 256.
  size_t size() const { return used_.size(); }

 private:
  void add_block();
  void take(uint32_t slot);

  std::vector<uint8_t> used_, is_base_;
  std::vector<uint32_t> next_, previous_;  // doubly linked list of the free slots in the window
  uint32_t first_free_;
};

/// A set of byte strings, each with a value, that answers "which of them begin here?".
///
/// A double array with one 64-bit unit per node: base, value and label are read at once.
class ByteTrie {
 public:
  static constexpr uint32_t kNoValue = 0xFFFFFF;

  struct Entry {
    std::string_view key;
    uint32_t value;  ///< below kNoValue
  };

  ByteTrie() = default;

  /// Builds from distinct, non-empty keys in any order. Throws InternalError on a repeated key.
  explicit ByteTrie(std::vector<Entry> entries);

  bool empty() const { return units_.empty(); }

  /// Calls `found(value, length)` for every key that is a prefix of `text`, shortest first.
  template <class Found>
  void for_each_prefix(const char* text, size_t bytes, Found&& found) const {
    if (units_.empty()) return;
    const uint64_t* const units = units_.data();
    uint64_t unit = units[0];
    for (size_t i = 0; i < bytes; ++i) {
      const auto label = static_cast<unsigned char>(text[i]);
      unit = units[static_cast<uint32_t>(unit >> kBaseShift) ^ label];
      if ((unit & kLabelMask) != label) return;
      const auto value = static_cast<uint32_t>(unit >> kValueShift) & kNoValue;
      if (value != kNoValue) found(value, i + 1);
    }
  }

  /// The longest key that is a prefix of `text`: its length and value; length 0 if there is none.
  struct Match {
    size_t bytes = 0;
    uint32_t value = kNoValue;
  };
  Match longest_prefix(std::string_view text) const {
    Match best;
    for_each_prefix(text.data(), text.size(), [&](uint32_t value, size_t bytes) {
      best = {bytes, value};
    });
    return best;
  }

 private:
  static constexpr int kBaseShift = 33, kValueShift = 9;
  static constexpr uint64_t kLabelMask = 0x1FF;  // 256 and above: an unused slot

  std::vector<uint64_t> units_;
};

}  // namespace tessera::beit3
