#include "backends/cpu/isa/attention.h"

#include "backends/cpu/isa/simd.h"
#include "backends/cpu/isa/tile.h"
#include "backends/cpu/isa/transpose.h"

// Queries go in blocks; a block's scores against all visible keys stay in the cache (block x
// length), so softmax needs no running maximum. Products are tiles (tile.h) on packed operands:
//
//   panels of keys   [length / 16][dim][16]   k or v, transposed: right operand of q k^T, g v^T
//   panels of dims   [dim / 16][length][16]   k or v: right operand of p v, ds k
//
// Rows and columns are padded to whole tiles, sums never: a padded element is computed and dropped.

namespace tessera {
namespace {

template <class V>
using Scalar = typename V::Scalar;

// Multiples of every kTileRows. Sums of dk and dv are loaded and stored once a block, so backward's
// is longer.
constexpr int64_t kForwardBlock = kAttentionBlock / 2, kBackwardBlock = kAttentionBlock;

inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

template <class T>
inline int64_t length_of(const AttentionItem<T>& a) {
  return (a.segment.end0 - a.segment.begin0) + (a.segment.end1 - a.segment.begin1);
}
/// Rows that anybody sees.
template <class T>
inline int64_t keys_of(const AttentionItem<T>& a) {
  return length_of(a) - a.segment.unseen;
}

template <class T>
inline int64_t row_of(const AttentionItem<T>& a, int64_t i) {
  const int64_t first = a.segment.end0 - a.segment.begin0;
  return i < first ? a.segment.begin0 + i : a.segment.begin1 + (i - first);
}
/// Keys that query i sees: always the first so many, and no fewer for a later query.
template <class T>
inline int64_t visible(const AttentionItem<T>& a, int64_t i) {
  const int64_t keys = keys_of(a), first = a.segment.end0 - a.segment.begin0;
  if (a.rule == AttentionRule::full) return keys;
  return least(i < first ? first : i + 1, keys);
}
/// Asks for part of rows i … i + rows - 1 of a matrix, which are read or written after the next
/// products: they lie far apart, so the processor does not see them coming.
template <bool Write, class T>
inline void fetch_rows(const AttentionItem<T>& a, const T* x, int64_t stride, int64_t i,
                       int64_t rows) {
  const int64_t bytes = a.width * static_cast<int64_t>(sizeof(T));
  for (int64_t r = 0; r < rows; ++r) {
    const char* row = reinterpret_cast<const char*>(x + row_of(a, i + r) * stride);
    for (int64_t b = 0; b < bytes; b += 64) __builtin_prefetch(row + b, Write);
  }
}

/// Elements between rows of a block of scores: whole panels, and room for the last tile of dk.
inline int64_t score_stride(int64_t length) { return round_up(length, 16) + 16; }

/// The keys' rows of k or v, transposed into panels of keys.
template <class T>
inline void pack_keys(const AttentionItem<T>& a, const T* x, T* to) {
  const int64_t length = keys_of(a);
  for (int64_t j = 0; j < round_up(length, 16); j += 8) {
    T* panel = to + j / 16 * 16 * a.width + j % 16;
    const int64_t keys = j >= length ? 0 : least(8, length - j);
    const bool straight = keys == 8 && row_of(a, j + 7) == row_of(a, j) + 7;
    int64_t d = 0;
    if (straight) {
      const T* from = x + row_of(a, j) * a.stride;
      for (; d + 8 <= a.width; d += 8) transpose_8x8(from + d, a.stride, panel + d * 16, 16);
    }
    for (int64_t r = 0; r < keys; ++r) {
      const T* from = x + row_of(a, j + r) * a.stride;
      for (int64_t c = d; c < a.width; ++c) panel[c * 16 + r] = from[c];
    }
    for (int64_t c = d; c < a.width; ++c) {
      for (int64_t r = keys; r < 8; ++r) panel[c * 16 + r] = T(0);
    }
  }
}

/// The same rows in panels of dims.
template <class V>
inline void pack_dims(const AttentionItem<Scalar<V>>& a, const Scalar<V>* x, Scalar<V>* to) {
  const int64_t length = keys_of(a);
  for (int64_t j = 0; j < length; ++j) {
    const Scalar<V>* from = x + row_of(a, j) * a.stride;
    for (int64_t d = 0; d < a.width; d += 16) {
      const int64_t n = least(16, a.width - d);
      (n == 16 ? V::load(from + d) : V::load(from + d, n)).store(to + d * length + j * 16);
    }
  }
}

/// Rows i … i + rows - 1 of a matrix times `scale`, as (rows rounded up to tiles, dim rounded up to
/// 16), padded with zeros.
template <class V>
inline void pack_rows(const AttentionItem<Scalar<V>>& a, const Scalar<V>* from, int64_t stride,
                      int64_t i, int64_t rows, Scalar<V> scale, Scalar<V>* to) {
  const int64_t width = round_up(a.width, 16), padded = round_up(rows, kTileRows<V>);
  for (int64_t r = 0; r < padded; ++r, to += width) {
    for (int64_t d = 0; d < a.width; d += 16) {
      const int64_t n = r < rows ? least(16, a.width - d) : 0;
      V v(0);
      if (n > 0) {
        const Scalar<V>* p = from + row_of(a, i + r) * stride + d;
        v = n == 16 ? V::load(p) : V::load(p, n);
      }
      (v * V(scale)).store(to + d);
    }
  }
}

/// scores (rows, 16 panels) = rows times panels of keys.
template <class V>
inline void multiply_keys(const Scalar<V>* rows, const Scalar<V>* keys, int64_t dim, int64_t count,
                          int64_t panels, Scalar<V>* scores, int64_t stride) {
  constexpr int R = kTileRows<V>;
  const int64_t width = round_up(dim, 16);
  for (int64_t p = 0; p < panels; ++p) {
    for (int64_t r = 0; r < count; r += R) {
      Tile<V, R> c;
      for_rows<R>(c, [](int, V& row) { row = V(0); });
      multiply_add<R>(c, rows + r * width, width, 1, keys + p * 16 * dim, 16, dim);
      Scalar<V>* to = scores + r * stride + p * 16;
      for_rows<R>(c, [&](int i, V& row) { row.store(to + i * stride); });
    }
  }
}

/// Calls `store(r, d, n, v)` with the n elements from column d on of row r of weights (rows, keys)
/// times panels of dims.
template <class V, class F>
inline void multiply_dims(const Scalar<V>* weights, int64_t stride, const Scalar<V>* dims,
                          int64_t length, int64_t keys, int64_t dim, int64_t count, F store) {
  constexpr int R = kTileRows<V>;
  for (int64_t d = 0; d < dim; d += 16) {
    const int64_t n = least(16, dim - d);
    for (int64_t r = 0; r < count; r += R) {
      Tile<V, R> c;
      for_rows<R>(c, [](int, V& row) { row = V(0); });
      multiply_add<R>(c, weights + r * stride, stride, 1, dims + d * length, 16, keys);
      for_rows<R>(c, [&](int i, V& row) {
        if (r + i < count) store(r + i, d, n, row);
      });
    }
  }
}

/// sums [dim / 16][length padded][16] += weights^T (keys, count) times rows (count, dim).
template <class V>
inline void add_transposed(const Scalar<V>* weights, int64_t stride, const Scalar<V>* rows,
                           int64_t count, int64_t keys, int64_t dim, Scalar<V>* sums,
                           int64_t padded_length) {
  constexpr int R = kTileRows<V>;
  const int64_t width = round_up(dim, 16);
  for (int64_t d = 0; d < dim; d += 16) {
    for (int64_t j = 0; j < keys; j += R) {
      Scalar<V>* at = sums + d * padded_length + j * 16;
      Tile<V, R> c;
      for_rows<R>(c, [&](int i, V& row) { row = V::load(at + i * 16); });
      multiply_add<R>(c, weights + j, 1, stride, rows + d, width, count);
      for_rows<R>(c, [&](int i, V& row) { row.store(at + i * 16); });
    }
  }
}

template <class V>
inline void store_part(Scalar<V>* to, int64_t n, V v) {
  if (n == 16) {
    v.store(to);
  } else {
    v.store(to, n);
  }
}

/// p = exp(s - max) in place over the first `seen` scores, zero up to `keys`. Returns the sum.
template <class V>
inline Scalar<V> exponentials(Scalar<V>* s, int64_t seen, int64_t keys, Scalar<V>& top) {
  const int64_t whole = seen / 16 * 16, rest = seen - whole;
  V most(-__builtin_inf());
  for (int64_t j = 0; j < whole; j += 16) most = max(most, V::load(s + j));
  if (rest > 0) most = max(most, select(V::first(rest), V::load(s + whole), most));
  top = max_of(most);
  const V m(top);
  V total(0);
  for (int64_t j = 0; j < whole; j += 16) {
    const V e = exp(V::load(s + j) - m);
    e.store(s + j);
    total = total + e;
  }
  if (rest > 0) {
    const V e = select(V::first(rest), exp(V::load(s + whole) - m), V(0));
    e.store(s + whole);
    total = total + e;
  }
  for (int64_t j = round_up(seen, 16); j < keys; j += 16) V(0).store(s + j);
  return sum(total);
}

inline float log_of(float x) { return max_of(log(F32x16(x))); }
inline double log_of(double x) { return __builtin_log(x); }

template <class V>
[[gnu::flatten]] void forward(const AttentionItem<Scalar<V>>& a) {
  using T = Scalar<V>;
  const int64_t keys = keys_of(a), width = round_up(a.width, 16), stride = score_stride(keys);
  T* key_panels = a.scratch;
  T* values = key_panels + round_up(keys, 16) * a.width;
  T* queries = values + keys * width;
  T* scores = queries + kForwardBlock * width;
  pack_keys(a, a.k, key_panels);
  pack_dims<V>(a, a.v, values);
  for (int64_t i = a.query_begin; i < a.query_end; i += kForwardBlock) {
    const int64_t rows = least(kForwardBlock, a.query_end - i);
    const int64_t most = visible(a, i + rows - 1);
    pack_rows<V>(a, a.q, a.stride, i, rows, a.scale, queries);
    multiply_keys<V>(queries, key_panels, a.width, rows, round_up(most, 16) / 16, scores, stride);
    T scale[kForwardBlock];
    for (int64_t r = 0; r < rows; ++r) {
      T top;
      const T total = exponentials<V>(scores + r * stride, visible(a, i + r), most, top);
      scale[r] = T(1) / total;
      a.lse[row_of(a, i + r) * a.lse_stride] = top + log_of(total);
    }
    multiply_dims<V>(scores, stride, values, keys, most, a.width, rows,
                     [&](int64_t r, int64_t d, int64_t n, V v) {
                       store_part(a.y + row_of(a, i + r) * a.y_stride + d, n, v * V(scale[r]));
                     });
  }
}

/// p and ds of one row: p = exp(s - lse), ds = p (dp - delta); zero beyond `seen`.
template <class V>
inline void backward_row(Scalar<V>* p, Scalar<V>* ds, int64_t seen, int64_t columns, Scalar<V> lse,
                         Scalar<V> delta) {
  const V shift(lse), mean(delta);
  int64_t j = 0;
  for (; j + 16 <= seen; j += 16) {
    const V e = exp(V::load(p + j) - shift);
    e.store(p + j);
    (e * (V::load(ds + j) - mean)).store(ds + j);
  }
  if (j < seen) {
    const auto in = V::first(seen - j);
    const V e = select(in, exp(V::load(p + j) - shift), V(0));
    e.store(p + j);
    select(in, e * (V::load(ds + j) - mean), V(0)).store(ds + j);
    j += 16;
  }
  for (; j < columns; j += 16) {
    V(0).store(p + j);
    V(0).store(ds + j);
  }
}

template <class V>
[[gnu::flatten]] void backward(const AttentionItem<Scalar<V>>& a) {
  using T = Scalar<V>;
  const int64_t keys = keys_of(a), width = round_up(a.width, 16), stride = score_stride(keys);
  const int64_t padded = round_up(keys, kTileRows<V>);
  T* key_panels = a.scratch;
  T* values = key_panels + round_up(keys, 16) * a.width;
  T* key_dims = values + round_up(keys, 16) * a.width;
  T* dk = key_dims + keys * width;
  T* dv = dk + padded * width;
  T* queries = dv + padded * width;
  T* grads = queries + kBackwardBlock * width;
  T* p = grads + kBackwardBlock * width;
  T* ds = p + kBackwardBlock * stride;
  pack_keys(a, a.k, key_panels);
  pack_keys(a, a.v, values);
  pack_dims<V>(a, a.k, key_dims);
  for (int64_t i = 0; i < 2 * padded * width; i += 16) V(0).store(dk + i);
  const int64_t length = length_of(a);
  for (int64_t i = 0; i < length; i += kBackwardBlock) {
    const int64_t rows = least(kBackwardBlock, length - i);
    const int64_t most = visible(a, i + rows - 1), panels = round_up(most, 16) / 16;
    pack_rows<V>(a, a.q, a.stride, i, rows, a.scale, queries);
    pack_rows<V>(a, a.g, a.g_stride, i, rows, T(1), grads);
    fetch_rows<false>(a, a.y, a.y_stride, i, rows);
    fetch_rows<true>(a, a.dq, a.stride, i, rows);
    multiply_keys<V>(queries, key_panels, a.width, rows, panels, p, stride);
    multiply_keys<V>(grads, values, a.width, rows, panels, ds, stride);
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t row = row_of(a, i + r);
      V dot(0);
      for (int64_t d = 0; d < a.width; d += 16) {
        dot = fma(V::load(grads + r * width + d),
                  V::load(a.y + row * a.y_stride + d, least(16, a.width - d)), dot);
      }
      backward_row<V>(p + r * stride, ds + r * stride, visible(a, i + r), panels * 16 + 16,
                      a.lse[row * a.lse_stride], sum(dot));
    }
    if (i + rows == length) {
      fetch_rows<true>(a, a.dk, a.stride, 0, length);
      fetch_rows<true>(a, a.dv, a.stride, 0, length);
    }
    add_transposed<V>(p, stride, grads, rows, most, a.width, dv, padded);
    add_transposed<V>(ds, stride, queries, rows, most, a.width, dk, padded);
    multiply_dims<V>(ds, stride, key_dims, keys, most, a.width, rows,
                     [&](int64_t r, int64_t d, int64_t n, V v) {
                       store_part(a.dq + row_of(a, i + r) * a.stride + d, n, v * V(a.scale));
                     });
  }
  for (int64_t j = 0; j < length; ++j) {
    T* to_k = a.dk + row_of(a, j) * a.stride;
    T* to_v = a.dv + row_of(a, j) * a.stride;
    for (int64_t d = 0; d < a.width; d += 16) {
      const int64_t n = least(16, a.width - d), at = d * padded + j * 16;
      store_part(to_k + d, n, j < keys ? V::load(dk + at) : V(0));  // 0 for a row that nobody sees
      store_part(to_v + d, n, j < keys ? V::load(dv + at) : V(0));
    }
  }
}

}  // namespace

namespace TESSERA_ISA {
extern const AttentionKernels attention_kernels = {
    .f32 = {forward<F32x16>, backward<F32x16>},
    .f64 = {forward<F64x16>, backward<F64x16>},
};
}

}  // namespace tessera
