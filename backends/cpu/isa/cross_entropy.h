#pragma once

#include <cstdint>

namespace tessera {

/// Rows of logits with their labels.
template <class T>
struct CrossEntropyRows {
  int64_t rows = 0, classes = 0;
  const T* logits = nullptr;
  int64_t stride = 0;
  const int64_t* labels = nullptr;
  int64_t ignore_index = 0;
  T smoothing = 0;
  T* loss = nullptr;
  T* lse = nullptr;         ///< forward: written; backward: read
  int64_t* best = nullptr;  ///< the first largest logit
  const T* g = nullptr;     ///< backward: the rows' gradients
  T* dlogits = nullptr;     ///< may be logits
  int64_t dlogits_stride = 0;
};

template <class T>
struct CrossEntropyHalf {
  void (*forward)(const CrossEntropyRows<T>&);
  void (*backward)(const CrossEntropyRows<T>&);
};

struct CrossEntropyKernels {
  CrossEntropyHalf<float> f32;
  CrossEntropyHalf<double> f64;
};

namespace portable {
extern const CrossEntropyKernels cross_entropy_kernels;
}
namespace avx2 {
extern const CrossEntropyKernels cross_entropy_kernels;
}
namespace avx512 {
extern const CrossEntropyKernels cross_entropy_kernels;
}

}  // namespace tessera
