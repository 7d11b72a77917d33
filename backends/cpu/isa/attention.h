#pragma once

#include <cstdint>

#include "tensor/base/segment.h"

namespace tessera {

/// One head of one sequence, or some of its queries. Rows of qkv, y and g belong to the packed
/// matrix; a sequence's rows lie in up to two ranges of it.
template <class T>
struct AttentionItem {
  Segment segment;
  AttentionRule rule = AttentionRule::full;
  T scale = 1;
  int64_t width = 0;  ///< D
  const T* q = nullptr;  ///< of row 0, this head; k and v alike
  const T* k = nullptr;
  const T* v = nullptr;
  int64_t stride = 0;  ///< between rows of q, k, v
  int64_t query_begin = 0, query_end = 0;  ///< forward: which queries, counted in the sequence

  T* y = nullptr;
  int64_t y_stride = 0;
  T* lse = nullptr;
  int64_t lse_stride = 0;

  // backward
  const T* g = nullptr;
  int64_t g_stride = 0;
  T* dq = nullptr;
  T* dk = nullptr;
  T* dv = nullptr;  ///< stride as of q, k, v

  T* scratch = nullptr;
};

template <class T>
struct AttentionHalf {
  void (*forward)(const AttentionItem<T>&);
  void (*backward)(const AttentionItem<T>&);
};

struct AttentionKernels {
  AttentionHalf<float> f32;
  AttentionHalf<double> f64;
};

/// Queries that are worked on together. Backward keeps their probabilities: scratch is
/// O(kAttentionBlock * T), never T * T.
inline constexpr int64_t kAttentionBlock = 96;
/// Rows of the register block: queries (or keys) times 16 lanes.
inline constexpr int64_t kAttentionRows = 6;

/// Scratch elements of an item of `length` rows and `width` elements a head.
inline int64_t attention_scratch(int64_t length, int64_t width) {
  const int64_t keys = (length + 15) / 16 * 16 + kAttentionRows;
  const int64_t wide = (width + 15) / 16 * 16;
  // two transposed and two plain copies of keys or values, two gradients, two blocks of scores, and
  // a block of queries, of gradients and of results
  return keys * (2 * width + 4 * wide) + 2 * kAttentionBlock * keys +
         kAttentionBlock * (2 * width + 3 * wide) + 64;
}

namespace portable {
extern const AttentionKernels attention_kernels;
}
namespace avx2 {
extern const AttentionKernels attention_kernels;
}
namespace avx512 {
extern const AttentionKernels attention_kernels;
}

}  // namespace tessera
