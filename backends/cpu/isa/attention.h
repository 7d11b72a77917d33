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
  int64_t width = 0;     ///< D
  const T* q = nullptr;  ///< of row 0, this head; k and v alike
  const T* k = nullptr;
  const T* v = nullptr;
  int64_t stride = 0;                      ///< between rows of q, k, v
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

/// Queries that backward works on together; forward takes half as many.
inline constexpr int64_t kAttentionBlock = 48;

/// Scratch elements of an item of `length` rows and `width` elements a head, forward or backward:
/// O(block * length), never length * length.
inline int64_t attention_scratch(int64_t length, int64_t width) {
  const int64_t padded = (length + 15) / 16 * 16 + 16, wide = (width + 15) / 16 * 16;
  // keys and values by panels of keys, keys by panels of dims, two gradients; for a block of
  // queries the queries, their gradients, and two blocks of scores
  return 5 * padded * wide + 2 * kAttentionBlock * (wide + padded);
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
