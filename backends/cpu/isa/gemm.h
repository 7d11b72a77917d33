#pragma once

#include <cstdint>

namespace tessera {

/// Part of a product for one thread: rows of A times packed panels of B, over a depth that stays in
/// cache. c = a b, plus c itself, plus the bias.
template <class T>
struct GemmBlock {
  int64_t rows = 0, cols = 0, depth = 0;
  const void* packed_a = nullptr;  ///< panels of `pack_a`; null: they lie ready
  const T* a = nullptr;            ///< then element (i, k) at a[i * a_row + k]
  int64_t a_row = 0;
  const void* b = nullptr;  ///< panels of `pack_b`, one after the other
  T* c = nullptr;           ///< element (i, j) at c[i * c_row + j]
  int64_t c_row = 0;
  const T* bias = nullptr;  ///< (cols); null: none
  bool accumulate = false;  ///< add to c instead of replacing it
};

/// A matrix to be packed: element (line, k) at from[line * line_step + k * k_step], one of the two
/// steps being 1. A line is a row of A or a column of B.
template <class T>
struct GemmSource {
  const T* from = nullptr;
  int64_t line_step = 1, k_step = 1;
};

template <class T>
struct GemmHalf {
  int64_t tile_rows;     ///< rows of A in a packed panel
  int64_t tile_cols;     ///< columns of B in a packed panel
  int64_t packed_bytes;  ///< of an element in a panel
  int64_t depth_step;    ///< a panel is filled up with zeros to a multiple of this
  bool reads_in_place;   ///< A need not be packed if its rows lie in one piece
  /// Packs `lines` lines of depth `depth` in panels of tile_rows (tile_cols) lines. Lines that fill
  /// the last panel up are zero.
  void (*pack_a)(const GemmSource<T>& a, int64_t lines, int64_t depth, void* to);
  void (*pack_b)(const GemmSource<T>& b, int64_t lines, int64_t depth, void* to);
  /// An element is a sum over k, in one fixed order from zero, to which the bias and what c held
  /// are added: its bits depend on neither its neighbours nor the tile.
  void (*multiply)(const GemmBlock<T>& block);
  /// Sums over k of each of `lines` lines that `pack_a` packed; added to what is there, or not.
  /// Null where nothing is read in place.
  void (*sum_a)(const void* panels, int64_t lines, int64_t depth, T* sums,
                bool accumulate) = nullptr;
};

/// Each sum is one chain of fused multiply-adds, ascending.
struct GemmKernels {
  GemmHalf<float> f32;
  GemmHalf<double> f64;
};

namespace portable {
extern const GemmKernels gemm_kernels;
}
namespace avx2 {
extern const GemmKernels gemm_kernels;
}
namespace avx512 {
extern const GemmKernels gemm_kernels;
}

}  // namespace tessera
