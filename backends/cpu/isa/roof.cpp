#include "backends/cpu/isa/roof.h"

#include "backends/cpu/isa/simd.h"
#include "backends/cpu/isa/tile.h"

namespace tessera {
namespace {

/// Half as many rows at a time where a vector takes two registers, so that none leaves them.
#if defined(__AVX512F__)
constexpr int kRows = 12;
#else
constexpr int kRows = 6;
#endif

/// Different lanes: of equal ones a compiler computes one register for both halves of a vector.
alignas(64) constexpr float kStart[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

[[gnu::flatten]] float multiply_add(int64_t rounds) {
  Tile<F32x16, kRows> sums;
  for_rows<kRows>(sums, [](int r, F32x16& row) { row = F32x16::load(kStart) + F32x16(r); });
  const F32x16 factor(0.999f), term(0.001f);
  for (int64_t i = rounds * (12 / kRows); i > 0; --i) {
    for_rows<kRows>(sums, [&](int, F32x16& row) { row = fma(row, factor, term); });
  }
  F32x16 all(0.0f);
  for_rows<kRows>(sums, [&](int, F32x16& row) { all = all + row; });
  return sum(all);
}

}  // namespace

namespace TESSERA_ISA {
extern const RoofKernels roof_kernels = {multiply_add};
}

}  // namespace tessera
