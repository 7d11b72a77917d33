#pragma once

#include <cstdint>

namespace tessera {

/// One sequence of an attention: up to two ranges of rows, [begin, end) each. The second may be
/// empty. The last `unseen` rows of the sequence see the others, but nobody (they included) sees
/// them: this is what the reference's padded positions do.
struct Segment {
  int64_t begin0 = 0, end0 = 0, begin1 = 0, end1 = 0;
  int64_t unseen = 0;

  int64_t length() const { return (end0 - begin0) + (end1 - begin1); }
  int64_t keys() const { return length() - unseen; }
};

/// Who sees whom in a sequence. full: everybody everybody. prefix: rows of the first range see the
/// first range; rows of the second see the first range and, of the second, those up to themselves.
enum class AttentionRule : uint8_t { full, prefix };

}  // namespace tessera
