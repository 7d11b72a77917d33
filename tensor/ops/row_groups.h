#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tessera {

/// Cuts the rows of a matrix into consecutive ranges, each with parameters of its own: all that the
/// tensor layer knows of Multiway experts. Range i is [end(i-1), end(i)), possibly empty.
struct RowGroups {
  std::vector<int64_t> ends;
  /// Bit i: range i stands for a module that is not called. It has no rows, and its parameters get
  /// no gradient; those of a range that merely has no rows get zeros.
  uint64_t absent = 0;

  size_t size() const { return ends.size(); }
  int64_t begin(size_t i) const { return i == 0 ? 0 : ends[i - 1]; }
  int64_t end(size_t i) const { return ends[i]; }
  bool is_absent(size_t i) const { return i < 64 && (absent >> i & 1) != 0; }
  int64_t rows() const { return ends.empty() ? 0 : ends.back(); }
  friend bool operator==(const RowGroups&, const RowGroups&) = default;
};

}  // namespace tessera
