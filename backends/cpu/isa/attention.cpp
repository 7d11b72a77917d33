#include "backends/cpu/isa/attention.h"

#include "backends/cpu/isa/simd.h"
#include "tensor/base/scalar_math.h"

// Everything is a product of small matrices held in cache: a block of 6 rows x 16 lanes stays in
// registers, one operand is broadcast, the other a vector. Keys (and, backward, values) are
// transposed once per item into panels of 16; scores of a block of queries are recomputed from the
// log-sum-exp in the backward pass (Dao et al., arXiv:2205.14135), gradients of keys and values are
// added up over blocks of queries in order.
namespace tessera {
namespace {

constexpr int kRows = kAttentionRows;

/// Row i of the sequence in the packed matrix.
inline int64_t packed_row(const Segment& s, int64_t i) {
  const int64_t first = s.end0 - s.begin0;
  return i < first ? s.begin0 + i : s.begin1 + (i - first);
}

/// Keys that query i sees: always the first so many.
inline int64_t visible(const Segment& s, AttentionRule rule, int64_t i) {
  const int64_t keys = s.keys();
  if (rule == AttentionRule::full) return keys;
  const int64_t first = s.end0 - s.begin0;
  const int64_t sees = i < first ? first : i + 1;
  return sees < keys ? sees : keys;
}

inline int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/// c[r][0..16) (+)= sum_k a[r * a_row + k * a_step] * b[k * b_stride .. + 16), r < 6.
template <class V, class T>
inline void block(const T* a, int64_t a_row, int64_t a_step, const T* b, int64_t b_stride,
                  int64_t count, V (&c)[kRows]) {
  for (int64_t k = 0; k < count; ++k) {
    const V bk = V::load(b + k * b_stride);
    for (int r = 0; r < kRows; ++r) c[r] = fma(V(a[r * a_row + k * a_step]), bk, c[r]);
  }
}

template <class V>
inline void clear(V (&c)[kRows]) {
  for (int r = 0; r < kRows; ++r) c[r] = V(0.0f);
}

/// Rows [begin, end) of a matrix, copied side by side with `wide` elements a row; zeros beyond
/// `width`, and rows up to `padded` are zero. `factor` multiplies.
template <class V, class T>
inline void gather_rows(const AttentionItem<T>& a, const T* from, int64_t stride, int64_t begin,
                        int64_t end, int64_t padded, int64_t wide, T factor, T* to) {
  for (int64_t i = begin; i < begin + padded; ++i, to += wide) {
    if (i >= end) {
      for (int64_t j = 0; j < wide; j += 16) V(T(0)).store(to + j);
      continue;
    }
    const T* row = from + packed_row(a.segment, i) * stride;
    for (int64_t j = 0; j < wide; j += 16) {
      const int64_t n = a.width - j < 16 ? a.width - j : 16;
      (V::load(row + j, n) * V(factor)).store(to + j);
    }
  }
}

/// Panels of 16 keys: to[(p * width + d) * 16 + l] = x[16 p + l][d], zeros beyond `keys`.
template <class T>
inline void transpose_keys(const AttentionItem<T>& a, const T* from, int64_t keys, T* to) {
  for (int64_t p = 0; p < up(keys, 16); p += 16) {
    T* panel = to + p * a.width;
    for (int64_t l = 0; l < 16; ++l) {
      if (p + l < keys) {
        const T* row = from + packed_row(a.segment, p + l) * a.stride;
        for (int64_t d = 0; d < a.width; ++d) panel[d * 16 + l] = row[d];
      } else {
        for (int64_t d = 0; d < a.width; ++d) panel[d * 16 + l] = T(0);
      }
    }
  }
}

/// s[r][j] = sum_d q[r][d] kt[d][j] for 6 rows and all panels.
template <class V, class T>
inline void scores(const T* q, int64_t q_stride, const T* panels, int64_t width, int64_t keys,
                   T* s, int64_t s_stride) {
  for (int64_t p = 0; p < keys; p += 16) {
    V c[kRows];
    clear(c);
    block(q, q_stride, 1, panels + p * width, 16, width, c);
    for (int r = 0; r < kRows; ++r) c[r].store(s + r * s_stride + p);
  }
}

/// Softmax of one row of scores over its first n entries, zeros after them; the sum is not divided
/// out. Returns it, and the maximum.
template <class V, class T>
inline T exponentials(T* s, int64_t n, int64_t padded, T& most) {
  V m(s[0]);
  int64_t j = 0;
  for (; j + 16 <= n; j += 16) m = max(V::load(s + j), m);
  if (j < n) m = max(select(V::first(n - j), V::load(s + j), V(s[0])), m);
  most = max_of(m);
  V total(T(0));
  for (j = 0; j < padded; j += 16) {
    V e(T(0));
    if (j < n) {
      e = exp(V::load(s + j) - V(most));
      if (n - j < 16) e = select(V::first(n - j), e, V(T(0)));
    }
    e.store(s + j);
    total = total + e;
  }
  return sum(total);
}

template <class V, class T>
[[gnu::flatten]] void forward(const AttentionItem<T>& a) {
  const int64_t keys = a.segment.keys(), padded = up(keys, 16), wide = up(a.width, 16);
  T* panels = a.scratch;
  T* values = panels + padded * a.width;
  T* q = values + padded * wide;
  T* s = q + kRows * wide;
  transpose_keys(a, a.k, keys, panels);
  gather_rows<V>(a, a.v, a.stride, 0, keys, padded, wide, T(1), values);
  for (int64_t begin = a.query_begin; begin < a.query_end; begin += kRows) {
    const int64_t end = begin + kRows < a.query_end ? begin + kRows : a.query_end;
    gather_rows<V>(a, a.q, a.stride, begin, end, kRows, wide, a.scale, q);
    scores<V>(q, wide, panels, a.width, keys, s, padded);
    T factor[kRows];
    int64_t most_keys = 0;
    for (int r = 0; r < kRows; ++r) {
      const int64_t i = begin + r < end ? begin + r : end - 1;
      const int64_t n = visible(a.segment, a.rule, i);
      most_keys = n > most_keys ? n : most_keys;
      T most;
      const T total = exponentials<V>(s + r * padded, n, padded, most);
      factor[r] = T(1) / total;
      if (begin + r < end) {
        V logarithm = log(V(total));
        T lane[16];
        logarithm.store(lane);
        a.lse[packed_row(a.segment, i) * a.lse_stride] = most + lane[0];
      }
    }
    for (int64_t d = 0; d < a.width; d += 16) {
      V c[kRows];
      clear(c);
      block(s, padded, 1, values + d, wide, most_keys, c);
      const int64_t n = a.width - d < 16 ? a.width - d : 16;
      for (int r = 0; r < kRows && begin + r < end; ++r) {
        T* y = a.y + packed_row(a.segment, begin + r) * a.y_stride + d;
        (c[r] * V(factor[r])).store(y, n);
      }
    }
  }
}

/// out[j][d] += sum_r w[r][j] x[r][d]: gradients of keys or values from a block of queries.
template <class V, class T>
inline void add_transposed(const T* w, int64_t w_stride, const T* x, int64_t wide, int64_t rows,
                           int64_t keys, T* out) {
  for (int64_t j = 0; j < keys; j += kRows) {
    for (int64_t d = 0; d < wide; d += 16) {
      V c[kRows];
      for (int r = 0; r < kRows; ++r) c[r] = V::load(out + (j + r) * wide + d);
      block(w + j, int64_t{1}, w_stride, x + d, wide, rows, c);
      for (int r = 0; r < kRows; ++r) c[r].store(out + (j + r) * wide + d);
    }
  }
}

template <class V, class T>
[[gnu::flatten]] void backward(const AttentionItem<T>& a) {
  const int64_t length = a.segment.length(), keys = a.segment.keys();
  const int64_t padded = up(keys, 16) + kRows, wide = up(a.width, 16);  // rows of 6 may run over
  T* at = a.scratch;
  auto take = [&](int64_t n) {
    T* p = at;
    at += n;
    return p;
  };
  T* key_panels = take(up(keys, 16) * a.width);
  T* value_panels = take(up(keys, 16) * a.width);
  T* key_rows = take(padded * wide);
  T* dk = take(padded * wide);
  T* dv = take(padded * wide);
  T* p = take(kAttentionBlock * padded);
  T* ds = take(kAttentionBlock * padded);
  T* q = take(kAttentionBlock * wide);
  T* g = take(kAttentionBlock * wide);
  transpose_keys(a, a.k, keys, key_panels);
  transpose_keys(a, a.v, keys, value_panels);
  gather_rows<V>(a, a.k, a.stride, 0, keys, padded, wide, T(1), key_rows);
  for (int64_t i = 0; i < padded * wide; i += 16) {
    V(T(0)).store(dk + i);
    V(T(0)).store(dv + i);
  }
  for (int64_t begin = 0; begin < length; begin += kAttentionBlock) {
    const int64_t end = begin + kAttentionBlock < length ? begin + kAttentionBlock : length;
    const int64_t rows = up(end - begin, kRows);
    gather_rows<V>(a, a.q, a.stride, begin, end, rows, wide, a.scale, q);
    gather_rows<V>(a, a.g, a.g_stride, begin, end, rows, wide, T(1), g);
    for (int64_t r0 = 0; r0 < rows; r0 += kRows) {
      T* pr = p + r0 * padded;
      T* dr = ds + r0 * padded;
      scores<V>(q + r0 * wide, wide, key_panels, a.width, keys, pr, padded);
      scores<V>(g + r0 * wide, wide, value_panels, a.width, keys, dr, padded);
      for (int r = 0; r < kRows; ++r, pr += padded, dr += padded) {
        const int64_t i = begin + r0 + r;
        const int64_t n = i < end ? visible(a.segment, a.rule, i) : 0;
        V dot(T(0)), lse(T(0));
        if (i < end) {
          const int64_t row = packed_row(a.segment, i);
          lse = V(a.lse[row * a.lse_stride]);
          const T* y = a.y + row * a.y_stride;
          for (int64_t d = 0; d < a.width; d += 16) {
            const int64_t m = a.width - d < 16 ? a.width - d : 16;
            dot = fma(V::load(y + d, m), V::load(g + (r0 + r) * wide + d), dot);
          }
        }
        const V mean(sum(dot));
        for (int64_t j = 0; j < padded; j += 16) {
          const int64_t m = padded - j < 16 ? padded - j : 16;
          if (j >= n) {
            V(T(0)).store(pr + j, m);
            V(T(0)).store(dr + j, m);
            continue;
          }
          V e = exp(V::load(pr + j) - lse);
          if (n - j < 16) e = select(V::first(n - j), e, V(T(0)));
          V slope = V::load(dr + j) - mean;
          if (n - j < 16) slope = select(V::first(n - j), slope, V(T(0)));
          e.store(pr + j);
          (e * slope).store(dr + j);
        }
      }
      for (int64_t d = 0; d < a.width; d += 16) {
        V c[kRows];
        clear(c);
        block(ds + r0 * padded, padded, 1, key_rows + d, wide, keys, c);
        const int64_t n = a.width - d < 16 ? a.width - d : 16;
        for (int r = 0; r < kRows && begin + r0 + r < end; ++r) {
          T* dq = a.dq + packed_row(a.segment, begin + r0 + r) * a.stride + d;
          (c[r] * V(a.scale)).store(dq, n);
        }
      }
    }
    add_transposed<V>(ds, padded, q, wide, end - begin, keys, dk);
    add_transposed<V>(p, padded, g, wide, end - begin, keys, dv);
  }
  for (int64_t i = 0; i < length; ++i) {
    const int64_t row = packed_row(a.segment, i) * a.stride;
    for (int64_t d = 0; d < a.width; d += 16) {
      const int64_t n = a.width - d < 16 ? a.width - d : 16;
      const V none(T(0));  // a row that nobody sees
      (i < keys ? V::load(dk + i * wide + d) : none).store(a.dk + row + d, n);
      (i < keys ? V::load(dv + i * wide + d) : none).store(a.dv + row + d, n);
    }
  }
}

}  // namespace

namespace TESSERA_ISA {
extern const AttentionKernels attention_kernels = {
    .f32 = {forward<F32x16, float>, backward<F32x16, float>},
    .f64 = {forward<F64x16, double>, backward<F64x16, double>},
};
}

}  // namespace tessera
