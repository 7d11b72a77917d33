#include "backends/cpu/isa/layer_norm.h"

#include "backends/cpu/isa/simd.h"
#include "tensor/base/scalar_math.h"

// A row at a time. Forward reads x once from memory: the second and third pass over the row find it
// in the first-level cache. Backward reads g and x once and writes dx; the parameters' gradients
// are added up in rows of partial sums that stay in cache.
namespace tessera {
namespace {

/// Calls f(j, n) for each block of 16 columns; n < 16 in the last alone.
template <class F>
inline void blocks(int64_t cols, F f) {
  int64_t j = 0;
  for (; j + 16 <= cols; j += 16) f(j, int64_t{16});
  if (j < cols) f(j, cols - j);
}

template <class V, class T>
inline V load(const T* p, int64_t n) {
  return n == 16 ? V::load(p) : V::load(p, n);
}
template <class V, class T>
inline void store(V v, T* p, int64_t n) {
  if (n == 16) {
    v.store(p);
  } else {
    v.store(p, n);
  }
}

/// The norm of row `r`, whose values lie at `v` (in cache).
template <class V, class T>
inline void normalise(const NormForward<T>& a, int64_t r, const T* v, V total) {
  const T count = static_cast<T>(a.cols);
  const T mean = sum(total) / count;
  V square(T(0));
  blocks(a.cols, [&](int64_t j, int64_t n) {
    V d = load<V>(v + j, n) - V(mean);
    if (n < 16) d = select(V::first(n), d, V(T(0)));
    square = fma(d, d, square);
  });
  const T rstd = T(1) / math::sqrt(sum(square) / count + a.eps);
  a.mean[r] = mean;
  a.rstd[r] = rstd;
  T* y = a.y + r * a.y_stride;
  blocks(a.cols, [&](int64_t j, int64_t n) {
    const V x_hat = (load<V>(v + j, n) - V(mean)) * V(rstd);
    store(fma(x_hat, load<V>(a.gamma + j, n), load<V>(a.beta + j, n)), y + j, n);
  });
}

template <class V, class T>
[[gnu::flatten]] void forward(const NormForward<T>& a) {
  for (int64_t r = 0; r < a.rows; ++r) {
    const T* x = a.x + r * a.x_stride;
    const T* v = x;
    V total(T(0));
    if (a.delta != nullptr) {
      const T* delta = a.delta + r * a.delta_stride;
      const V scale(a.row_scale != nullptr ? a.row_scale[r] : T(1));
      T* out = a.sum + r * a.sum_stride;
      blocks(a.cols, [&](int64_t j, int64_t n) {
        const V s = fma(load<V>(delta + j, n), scale, load<V>(x + j, n));
        store(s, out + j, n);
        total = total + s;
      });
      v = out;
    } else {
      blocks(a.cols, [&](int64_t j, int64_t n) { total = total + load<V>(x + j, n); });
    }
    normalise<V, T>(a, r, v, total);
  }
}

template <class V, class T>
[[gnu::flatten]] void gelu_forward(const NormForward<T>& a) {
  for (int64_t r = 0; r < a.rows; ++r) {
    const T* x = a.x + r * a.x_stride;
    T* y = a.y + r * a.y_stride;
    V total(T(0));
    blocks(a.cols, [&](int64_t j, int64_t n) {
      const V v = Gelu{}(load<V>(x + j, n));  // gelu(0) = 0: the lanes beyond the end add nothing
      store(v, y + j, n);
      total = total + v;
    });
    normalise<V, T>(a, r, y, total);
  }
}

/// dx of row `r` from the values v that were normalised; `last(j, n, dv)` stores it.
template <class V, class T, class Last>
inline void row_backward(const NormBackward<T>& a, int64_t r, const T* v, Last last) {
  const T* g = a.g + r * a.g_stride;
  const V mean(a.mean[r]), rstd(a.rstd[r]);
  V first(T(0)), second(T(0));
  blocks(a.cols, [&](int64_t j, int64_t n) {
    const V gj = load<V>(g + j, n), gg = gj * load<V>(a.gamma + j, n);
    const V x_hat = (load<V>(v + j, n) - mean) * rstd;
    first = first + gg;
    second = fma(gg, x_hat, second);
    store(fma(gj, x_hat, load<V>(a.dgamma + j, n)), a.dgamma + j, n);
    store(load<V>(a.dbeta + j, n) + gj, a.dbeta + j, n);
  });
  const T count = static_cast<T>(a.cols);
  const V c1(sum(first) / count), c2(sum(second) / count);
  blocks(a.cols, [&](int64_t j, int64_t n) {
    const V gg = load<V>(g + j, n) * load<V>(a.gamma + j, n);
    const V x_hat = (load<V>(v + j, n) - mean) * rstd;
    last(j, n, rstd * (gg - c1 - x_hat * c2));
  });
}

template <class V, class T>
[[gnu::flatten]] void backward(const NormBackward<T>& a) {
  for (int64_t r = 0; r < a.rows; ++r) {
    T* dx = a.dx + r * a.dx_stride;
    const T* residual = a.residual != nullptr ? a.residual + r * a.residual_stride : nullptr;
    row_backward<V, T>(a, r, a.x + r * a.x_stride, [&](int64_t j, int64_t n, V dv) {
      if (residual != nullptr) dv = dv + load<V>(residual + j, n);
      store(dv, dx + j, n);
    });
  }
}

template <class V, class T>
[[gnu::flatten]] void gelu_backward(const NormBackward<T>& a) {
  T* const value = a.buffer;
  T* const slope = a.buffer + a.cols;
  for (int64_t r = 0; r < a.rows; ++r) {
    const T* x = a.x + r * a.x_stride;
    T* dx = a.dx + r * a.dx_stride;
    blocks(a.cols, [&](int64_t j, int64_t n) {
      const V xj = load<V>(x + j, n);
      const V phi = V(T(0.5)) * (V(T(1)) + erf(xj * V(T(kSqrtHalf))));
      store(xj * phi, value + j, n);
      const V density = V(T(kInvSqrtTwoPi)) * exp(V(T(-0.5)) * xj * xj);
      store(fma(xj, density, phi), slope + j, n);
    });
    row_backward<V, T>(a, r, value, [&](int64_t j, int64_t n, V dv) {
      store(dv * load<V>(slope + j, n), dx + j, n);
    });
  }
}

}  // namespace

namespace TESSERA_ISA {
extern const LayerNormKernels layer_norm_kernels = {
    .f32 = {forward<F32x16, float>, backward<F32x16, float>, gelu_forward<F32x16, float>,
            gelu_backward<F32x16, float>},
    .f64 = {forward<F64x16, double>, backward<F64x16, double>, gelu_forward<F64x16, double>,
            gelu_backward<F64x16, double>},
};
}

}  // namespace tessera
