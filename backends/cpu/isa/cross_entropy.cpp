#include "backends/cpu/isa/cross_entropy.h"

#include "backends/cpu/isa/simd.h"

namespace tessera {
namespace {

template <class V, class T>
[[gnu::flatten]] void forward(const CrossEntropyRows<T>& a) {
  const int64_t n = a.classes;
  for (int64_t r = 0; r < a.rows; ++r) {
    const T* x = a.logits + r * a.stride;
    V most(x[0]), total(T(0)), plain(T(0));
    int64_t j = 0;
    for (; j + 16 <= n; j += 16) most = max(V::load(x + j), most);
    if (j < n) most = max(select(V::first(n - j), V::load(x + j, n - j), V(x[0])), most);
    const T largest = max_of(most);
    const V shift(largest);
    for (j = 0; j < n; j += 16) {
      const int64_t m = n - j < 16 ? n - j : 16;
      const V v = V::load(x + j, m);
      V e = exp(v - shift);
      if (m < 16) e = select(V::first(m), e, V(T(0)));
      total = total + e;
      plain = plain + v;
    }
    int64_t best = 0;
    while (best + 1 < n && !(x[best] == largest)) ++best;
    T lane[16];
    log(V(sum(total))).store(lane);
    a.lse[r] = largest + lane[0];
    a.best[r] = x[best] == largest ? best : 0;  // no largest: a NaN among them
    const int64_t label = a.labels[r];
    if (label == a.ignore_index) {
      a.loss[r] = T(0);
    } else {
      const T mean = sum(plain) / static_cast<T>(n);
      a.loss[r] = a.lse[r] - (T(1) - a.smoothing) * x[label] -
                  (a.smoothing > T(0) ? a.smoothing * mean : T(0));
    }
  }
}

template <class V, class T>
[[gnu::flatten]] void backward(const CrossEntropyRows<T>& a) {
  const int64_t n = a.classes;
  for (int64_t r = 0; r < a.rows; ++r) {
    const T* x = a.logits + r * a.stride;
    T* dx = a.dlogits + r * a.dlogits_stride;
    const int64_t label = a.labels[r];
    if (label == a.ignore_index) {
      for (int64_t j = 0; j < n; j += 16) V(T(0)).store(dx + j, n - j < 16 ? n - j : 16);
      continue;
    }
    const V g(a.g[r]), lse(a.lse[r]), even(a.smoothing / static_cast<T>(n));
    for (int64_t j = 0; j < n; j += 16) {
      const int64_t m = n - j < 16 ? n - j : 16;
      (g * (exp(V::load(x + j, m) - lse) - even)).store(dx + j, m);
    }
    dx[label] -= a.g[r] * (T(1) - a.smoothing);
  }
}

}  // namespace

namespace TESSERA_ISA {
extern const CrossEntropyKernels cross_entropy_kernels = {
    .f32 = {forward<F32x16, float>, backward<F32x16, float>},
    .f64 = {forward<F64x16, double>, backward<F64x16, double>},
};
}

}  // namespace tessera
