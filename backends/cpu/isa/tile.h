#pragma once

#include "backends/cpu/isa/simd.h"

/// Small products out of the cache: R rows of 16 columns in registers. Each element is one chain of
/// fused multiply-adds over k, ascending, so R changes no bits.
namespace tessera {
namespace {

/// Rows of a tile that fill the registers: accumulators, a row of b, and a broadcast.
template <class V>
constexpr int kTileRows = 2;
#if defined(__AVX512F__)
template <>
constexpr int kTileRows<F32x16> = 12;
#elif defined(__AVX2__)
template <>
constexpr int kTileRows<F32x16> = 6;
#endif

/// Nested members instead of an array: both compilers keep them in registers without unrolling
/// first.
template <class V, int R>
struct Tile {
  Tile<V, R - 1> above;
  V row;
};
template <class V>
struct Tile<V, 0> {};

/// Calls `f(r, row)` for the tile's rows.
template <int R, class V, class F>
inline void for_rows(Tile<V, R>& c, const F& f) {
  if constexpr (R > 0) {
    for_rows<R - 1>(c.above, f);
    f(R - 1, c.row);
  }
}

/// c += a b with a (R, depth) at a[r * a_row + k * a_k] and b (depth, 16) at b[k * b_k].
template <int R, class V, class T>
inline void multiply_add(Tile<V, R>& c, const T* a, int64_t a_row, int64_t a_k, const T* b,
                         int64_t b_k, int64_t depth) {
  for (int64_t k = 0; k < depth; ++k, a += a_k, b += b_k) {
    const V column = V::load(b);
    for_rows<R>(c, [&](int r, V& row) { row = fma(V(a[r * a_row]), column, row); });
  }
}

}  // namespace
}  // namespace tessera
