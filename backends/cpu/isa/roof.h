#pragma once

#include <cstdint>

namespace tessera {

struct RoofKernels {
  /// `rounds` rounds of 12 independent fused multiply-adds on 16 floats: 384 operations each. The
  /// result is there to be looked at, so that nothing is left out.
  float (*multiply_add)(int64_t rounds);
};
inline constexpr int64_t kRoofOperations = 384;

namespace portable {
extern const RoofKernels roof_kernels;
}
namespace avx2 {
extern const RoofKernels roof_kernels;
}
namespace avx512 {
extern const RoofKernels roof_kernels;
}

}  // namespace tessera
