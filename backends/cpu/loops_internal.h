#pragma once

#include <algorithm>
#include <array>
#include <cstdlib>
#include <type_traits>

#include "tensor/base/parallel.h"
#include "tensor/base/view.h"

/// Walking over operands of any strides. Elementwise kernels only ever see inner rows: `n` elements
/// with one stride per operand.
namespace tessera {

/// Elements of one parallel chunk: some 20 us of the cheapest kernel.
inline constexpr int64_t kGrain = 32768;

/// The common index space of N operands: axes of size 1 dropped, neighbours that all operands walk
/// alike merged. The last axis is the inner one. Operand 0 is the output.
template <int N>
struct Loop {
  int rank = 0;
  int64_t numel = 1;
  std::array<int64_t, kMaxRank> size{};
  std::array<std::array<int64_t, N>, kMaxRank> stride{};  // in elements

  int64_t inner_size() const { return rank == 0 ? 1 : size[index(rank - 1)]; }
  std::array<int64_t, N> inner_stride() const {
    return rank == 0 ? std::array<int64_t, N>{} : stride[index(rank - 1)];
  }
  static size_t index(int i) { return static_cast<size_t>(i); }

  void add_axis(int64_t n, const std::array<int64_t, N>& s) {
    numel *= n;
    if (n == 1) return;
    size[index(rank)] = n;
    stride[index(rank)] = s;
    ++rank;
  }

  /// Joins neighbouring axes that are one walk for every operand.
  void merge() {
    int last = 0;
    for (int i = 1; i < rank; ++i) {
      auto& outer = stride[index(last)];
      const auto& inner = stride[index(i)];
      bool one = true;
      for (size_t k = 0; k < N; ++k) one = one && outer[k] == inner[k] * size[index(i)];
      if (one) {
        outer = inner;
        size[index(last)] *= size[index(i)];
      } else if (++last != i) {
        size[index(last)] = size[index(i)];
        stride[index(last)] = inner;
      }
    }
    rank = std::min(rank, last + 1);
  }

  /// Puts the axes in the order of the output's strides, largest first, so that it is written in
  /// memory order. For kernels whose result does not depend on the order.
  void sort_by_output() {
    for (int i = 1; i < rank; ++i) {  // insertion sort: stable, and rank is at most 8
      for (int j = i; j > 0 && before(j, j - 1); --j) {
        std::swap(size[index(j)], size[index(j - 1)]);
        std::swap(stride[index(j)], stride[index(j - 1)]);
      }
    }
  }

 private:
  bool before(int a, int b) const {
    const auto& x = stride[index(a)];
    const auto& y = stride[index(b)];
    for (size_t k = 0; k < N; ++k) {
      const int64_t p = std::abs(x[k]), q = std::abs(y[k]);
      if (p != q) return p > q;
    }
    return false;
  }
};

/// The loop over `shape` in the order of the output's memory. strides[0] is the output's.
template <int N>
Loop<N> make_loop(const Shape& shape, const std::array<const Strides*, N>& strides) {
  Loop<N> loop;
  for (int i = 0; i < shape.rank(); ++i) {
    std::array<int64_t, N> s;
    for (size_t k = 0; k < N; ++k) s[k] = (*strides[k])[i];
    loop.add_axis(shape[i], s);
  }
  loop.sort_by_output();
  loop.merge();
  return loop;
}

/// Calls `f(offsets, n)` on pieces of inner rows that cover the elements begin … end-1 of the loop.
/// Offsets are in elements, one per operand.
template <int N, class F>
void for_rows_in(const Loop<N>& loop, int64_t begin, int64_t end, F&& f) {
  const int64_t inner = loop.inner_size();
  const auto inner_stride = loop.inner_stride();
  std::array<int64_t, kMaxRank> at{};
  std::array<int64_t, N> base{};
  int64_t rest = begin / inner, start = begin % inner;
  for (int i = loop.rank - 2; i >= 0; --i) {
    const size_t k = static_cast<size_t>(i);
    at[k] = rest % loop.size[k];
    rest /= loop.size[k];
    for (size_t j = 0; j < N; ++j) base[j] += at[k] * loop.stride[k][j];
  }
  for (int64_t left = end - begin; left > 0;) {
    const int64_t n = std::min(inner - start, left);
    std::array<int64_t, N> offset = base;
    if (start > 0) {
      for (size_t j = 0; j < N; ++j) offset[j] += start * inner_stride[j];
    }
    f(offset, n);
    left -= n;
    start = 0;
    for (int i = loop.rank - 2; i >= 0; --i) {
      const size_t k = static_cast<size_t>(i);
      for (size_t j = 0; j < N; ++j) base[j] += loop.stride[k][j];
      if (++at[k] < loop.size[k]) break;
      for (size_t j = 0; j < N; ++j) base[j] -= loop.size[k] * loop.stride[k][j];
      at[k] = 0;
    }
  }
}

/// The same over the whole loop, in parallel, in chunks of `grain` elements.
template <int N, class F>
void for_rows(const Loop<N>& loop, int64_t grain, F&& f) {
  parallel_ranges(loop.numel, grain,
                  [&](int64_t begin, int64_t end) { for_rows_in(loop, begin, end, f); });
}

/// Calls `f(s)` with the stride as a constant of the compiler where it is 1, so that it vectorises
/// the usual case.
template <class F>
inline void with_unit_stride(int64_t stride, F&& f) {
  if (stride == 1) {
    f(std::integral_constant<int64_t, 1>{});
  } else {
    f(stride);
  }
}

/// As `with_unit_stride`, for 0 as well (an expanded operand).
template <class F>
inline void with_small_stride(int64_t stride, F&& f) {
  if (stride == 1) {
    f(std::integral_constant<int64_t, 1>{});
  } else if (stride == 0) {
    f(std::integral_constant<int64_t, 0>{});
  } else {
    f(stride);
  }
}

/// The element at `offset` elements of a view's memory.
template <class T>
inline const T* at(const ConstView& v, int64_t offset) {
  return static_cast<const T*>(v.data) + offset;
}
template <class T>
inline T* at(const View& v, int64_t offset) {
  return static_cast<T*>(v.data) + offset;
}

}  // namespace tessera
