#include "backends/cpu/isa/gemm.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "backends/cpu/isa/simd.h"
#include "backends/cpu/isa/tile.h"
#include "backends/cpu/isa/transpose.h"

// Partition: the caller gives a block of rows and a depth that stay in the second-level cache. Each
// panel of B (depth x tile_cols, in the first-level cache) meets all rows before the next panel; a
// tile of tile_rows x tile_cols stays in registers over the whole depth.
// Source: Goto, van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008; Van Zee,
// van de Geijn, "BLIS", 2015.
namespace tessera {
namespace {

/// Two vectors side by side: a row of a tile where there are registers for it.
template <class V>
struct Pair {
  using Scalar = typename V::Scalar;
  static constexpr int kLanes = 2 * V::kLanes;

  V left, right;

  Pair() = default;
  Pair(V l, V r) : left(l), right(r) {}
  explicit Pair(Scalar x) : left(x), right(x) {}
  static Pair load(const Scalar* p) { return {V::load(p), V::load(p + V::kLanes)}; }
  static Pair load(const Scalar* p, int64_t n) {
    if (n <= V::kLanes) return {V::load(p, n), V(Scalar(0))};
    return {V::load(p), V::load(p + V::kLanes, n - V::kLanes)};
  }
  void store(Scalar* p) const {
    left.store(p);
    right.store(p + V::kLanes);
  }
  void store(Scalar* p, int64_t n) const {
    if (n <= V::kLanes) return left.store(p, n);
    left.store(p);
    right.store(p + V::kLanes, n - V::kLanes);
  }
};
template <class V>
inline Pair<V> operator+(Pair<V> a, Pair<V> b) {
  return {a.left + b.left, a.right + b.right};
}
template <class V>
inline Pair<V> fma(Pair<V> a, Pair<V> b, Pair<V> c) {
  return {fma(a.left, b.left, c.left), fma(a.right, b.right, c.right)};
}

template <class T>
using Lanes = std::conditional_t<std::is_same_v<T, float>, F32x16, F64x16>;

/// A row of a tile, and the rows that fill the registers: accumulators, a row of b, a broadcast.
template <class T>
struct TileOf {
  using Row = F64x16;
  static constexpr int kRows = kTileRows<F64x16>;
};
template <>
struct TileOf<float> {
#if defined(__AVX512F__)
  using Row = Pair<F32x16>;
  static constexpr int kRows = 14;
#else
  using Row = F32x16;
  static constexpr int kRows = kTileRows<F32x16>;
#endif
};

/// Whole panels of lines that lie side by side: element (line, k) at from[line + k * k_step]. Some
/// terms of all panels before the next ones, so that what one panel leaves of a cache line is still
/// there for its neighbour. Rows lie too far apart for the processor to see the next ones coming.
template <int Panel, class T>
inline void pack_copied(const T* from, int64_t k_step, int64_t panels, int64_t depth, T* to) {
  constexpr int64_t kTerms = 16;
  for (int64_t begin = 0; begin < depth; begin += kTerms) {
    const int64_t end = std::min(begin + kTerms, depth);
    for (int64_t p = 0; p < panels; ++p) {
      const T* row = from + p * Panel + begin * k_step;
      T* out = to + (p * depth + begin) * Panel;
      const int64_t ahead = end + kTerms <= depth ? kTerms * k_step : 0;
      for (int64_t k = begin; k < end; ++k, row += k_step, out += Panel) {
        for (int i = 0; i < Panel; i += 64 / sizeof(T)) __builtin_prefetch(row + ahead + i);
        std::memcpy(out, row, Panel * sizeof(T));
      }
    }
  }
}

/// One whole panel of lines each of which lies in one piece: element (line, k) at
/// from[line * line_step + k].
template <int Panel, class T>
inline void pack_transposed(const T* from, int64_t line_step, int64_t depth, T* to) {
  int64_t k = 0;
  if constexpr (Panel % 8 == 0) {
    for (; k + 8 <= depth; k += 8) {
      for (int i = 0; i < Panel; i += 8) {
        transpose_8x8(from + i * line_step + k, line_step, to + k * Panel + i, int64_t{Panel});
      }
    }
  }
  for (; k < depth; ++k) {
    for (int i = 0; i < Panel; ++i) to[k * Panel + i] = from[i * line_step + k];
  }
}

/// Lines in panels of `Panel`: element (line, k) of a panel at to[k * Panel + line].
template <int Panel, class T>
[[gnu::flatten]] void pack(const GemmSource<T>& source, int64_t lines, int64_t depth, void* panel) {
  T* to = static_cast<T*>(panel);
  const int64_t panels = lines / Panel, rest = lines % Panel;
  if (source.line_step == 1) {
    pack_copied<Panel>(source.from, source.k_step, panels, depth, to);
  } else {
    for (int64_t p = 0; p < panels; ++p) {
      pack_transposed<Panel>(source.from + p * Panel * source.line_step, source.line_step, depth,
                             to + p * Panel * depth);
    }
  }
  if (rest == 0) return;
  const T* from = source.from + panels * Panel * source.line_step;
  to += panels * Panel * depth;
  for (int64_t k = 0; k < depth; ++k) {
    for (int64_t i = 0; i < Panel; ++i) {
      to[k * Panel + i] = i < rest ? from[i * source.line_step + k * source.k_step] : T(0);
    }
  }
}

/// Sums over k of the lines in panels of `Panel`, each one chain.
template <int Panel, class V, class T>
[[gnu::flatten]] void sum_panels(const void* panels, int64_t lines, int64_t depth, T* sums,
                                 bool accumulate) {
  const T* from = static_cast<const T*>(panels);
  for (int64_t i = 0; i < lines; i += Panel, sums += Panel) {
    V sum(T(0));
    for (int64_t k = 0; k < depth; ++k, from += Panel) sum = sum + V::load(from, Panel);
    const int64_t n = std::min<int64_t>(Panel, lines - i);
    if (accumulate) sum = sum + V::load(sums, n);
    sum.store(sums, n);
  }
}

/// R rows at `a` times one panel, into R rows of n columns at c. A function of its own: all tiles
/// in one would be a frame so large that sanitizers take three times as long.
template <int R, bool Packed, class V, class T>
[[gnu::flatten, gnu::noinline]] void tile(const GemmBlock<T>& block, const T* a, const T* b, T* c,
                                          const T* bias, int64_t n) {
  Tile<V, R> sum;
  for_rows<R>(sum, [&](int r, V& row) {
    row = V(T(0));
    // The sums take long enough for the rows of c to arrive meanwhile.
    const char* to = reinterpret_cast<const char*>(c + r * block.c_row);
    for (size_t i = 0; i < V::kLanes * sizeof(T); i += 64) __builtin_prefetch(to + i, 1);
  });
  multiply_add<R>(sum, a, Packed ? 1 : block.a_row, Packed ? TileOf<T>::kRows : 1, b,
                  int64_t{V::kLanes}, block.depth);
  const bool whole = n == V::kLanes;
  for_rows<R>(sum, [&](int r, V& row) {
    T* to = c + r * block.c_row;
    if (whole) {
      if (bias) row = row + V::load(bias);
      if (block.accumulate) row = row + V::load(to);
      row.store(to);
    } else {
      if (bias) row = row + V::load(bias, n);
      if (block.accumulate) row = row + V::load(to, n);
      row.store(to, n);
    }
  });
}

/// `rows` rows of a tile, at most R.
template <int R, bool Packed, class V, class T>
inline void tile_of(int64_t rows, const GemmBlock<T>& block, const T* a, const T* b, T* c,
                    const T* bias, int64_t n) {
  if constexpr (R > 1) {
    if (rows < R) return tile_of<R - 1, Packed, V>(rows, block, a, b, c, bias, n);
  }
  tile<R, Packed, V>(block, a, b, c, bias, n);
}

/// Asks for the next panel of B a share at a time, while tiles of this one are multiplied: it comes
/// from afar, and a processor sees it coming only when it is there already.
template <class T>
class LookAhead {
 public:
  LookAhead(const T* from, int64_t elements, int64_t tiles)
      : at_(reinterpret_cast<const char*>(from)),
        end_(at_ + elements * int64_t{sizeof(T)}),
        share_((end_ - at_ + tiles - 1) / tiles) {}
  void share() {
    const char* const stop = std::min(at_ + share_, end_);
    for (; at_ < stop; at_ += 64)
      __builtin_prefetch(at_, 0, 2);  // this panel fills the first level
  }

 private:
  const char *at_, *end_;
  int64_t share_;
};

template <bool Packed, class V, class T>
inline void multiply_panels(const GemmBlock<T>& block) {
  constexpr int64_t kRows = TileOf<T>::kRows;
  const int64_t tiles = (block.rows + kRows - 1) / kRows, panel = V::kLanes * block.depth;
  const T* b = static_cast<const T*>(block.b);
  for (int64_t j = 0; j < block.cols; j += V::kLanes, b += panel) {
    const int64_t n = std::min<int64_t>(V::kLanes, block.cols - j);
    const T* bias = block.bias ? block.bias + j : nullptr;
    const T* a = Packed ? static_cast<const T*>(block.packed_a) : block.a;
    T* c = block.c + j;
    LookAhead<T> next(b + panel, j + V::kLanes < block.cols ? panel : 0, tiles);
    for (int64_t left = block.rows; left > 0;) {
      int64_t rows = std::min(left, kRows);
      // The last two tiles share their rows: a tile of few waits for its own sums.
      if (!Packed && left > kRows && left < 2 * kRows) rows = (left + 1) / 2;
      next.share();
      tile_of<kRows, Packed, V>(rows, block, a, b, c, bias, n);
      left -= rows;
      a += Packed ? kRows * block.depth : rows * block.a_row;
      c += rows * block.c_row;
    }
  }
}

template <class T>
void multiply(const GemmBlock<T>& block) {
  using V = typename TileOf<T>::Row;
  block.packed_a != nullptr ? multiply_panels<true, V>(block) : multiply_panels<false, V>(block);
}

template <class T>
constexpr GemmHalf<T> half() {
  constexpr int kRows = TileOf<T>::kRows, kCols = TileOf<T>::Row::kLanes;
  return {.tile_rows = kRows,
          .tile_cols = kCols,
          .packed_bytes = sizeof(T),
          .depth_step = 1,
          .reads_in_place = true,
          .pack_a = pack<kRows, T>,
          .pack_b = pack<kCols, T>,
          .multiply = multiply<T>,
          .sum_a = sum_panels<kRows, Lanes<T>, T>};
}

}  // namespace

namespace TESSERA_ISA {
extern const GemmKernels gemm_kernels = {.f32 = half<float>(), .f64 = half<double>()};
}

}  // namespace tessera
