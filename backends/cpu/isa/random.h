#pragma once

#include <cstdint>

namespace tessera {

/// Random words, the same as of `philox` in tensor/base/rng.h, many at a time.
struct RandomKernels {
  /// out[4 b + w] = word w of philox(key, first + b), b = 0 … blocks-1; blocks is a multiple of 16.
  void (*words)(uint64_t key, uint64_t first, int64_t blocks, uint32_t* out);
  /// The same as numbers in [0, 1): 24 bits each.
  void (*uniform)(uint64_t key, uint64_t first, int64_t blocks, float* out);
  /// Standard normals of those words: of each two, the first gives the radius of Box-Muller, the
  /// second the angle. blocks is a multiple of 16.
  void (*normal)(uint64_t key, uint64_t first, int64_t blocks, float* out);
  /// y[i] = drawn[i] >= threshold ? x[i] * scale : 0; y may be x
  void (*dropout)(const float* drawn, float threshold, float scale, const float* x, float* y,
                  int64_t n);
};

namespace portable {
extern const RandomKernels random_kernels;
}
namespace avx2 {
extern const RandomKernels random_kernels;
}
namespace avx512 {
extern const RandomKernels random_kernels;
}

}  // namespace tessera
