#pragma once

#include "backends/cpu/isa/gemm.h"

/// Products of f32 by way of bf16: each number is split into parts of 8 bits,
///
///   x = x_0 + x_1 + x_2,  x_0 = bf16(x),  x_1 = bf16(x - x_0),  x_2 = bf16(x - x_0 - x_1),
///
/// and a product of numbers becomes products of parts that AMX sums up in f32 (Henry, Tang,
/// Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision
/// Computations", 2019):
///
///   one part     x_0 y_0                                                relative error 2^-8
///   two parts    x_0 y_1, x_0 y_0, x_1 y_0                              2^-16
///   three parts  x_0 y_2, x_0 y_1, x_1 y_1, x_1 y_0, x_2 y_0, x_0 y_0   2^-25: that of f32
///
/// Parts smaller than the least normal number are 0, as AMX takes them. What is not finite, or
/// becomes infinite in bf16 (beyond 3.39e38), makes the sums it is in infinite or NaN.
namespace tessera {

/// Sides of a tile of C, and terms of a tile of A or B, of which each step of the sum takes one.
inline constexpr int64_t kSplitTile = 32, kSplitTerms = 32;
/// Bytes of half a tile of one part: 16 rows (columns) of kSplitTerms terms, 2 bytes each.
inline constexpr int64_t kHalfTile = 16 * kSplitTerms * 2;

namespace {
/// Which parts of x and y are multiplied, in order: x or y stays from one to the next.
template <int Parts>
constexpr int kPartProducts[1][2] = {{0, 0}};
template <>
constexpr int kPartProducts<2>[3][2] = {{0, 1}, {0, 0}, {1, 0}};
template <>
constexpr int kPartProducts<3>[6][2] = {{0, 2}, {0, 1}, {1, 1}, {1, 0}, {2, 0}, {0, 0}};
}  // namespace

/// What multiplies panels: `steps` steps of the sums of `panels` tiles, one below the other, each
/// 32 rows of 32 at `c`. A step lies in memory part by part, a part of A as 2 x 16 rows of 32
/// terms, a part of B as 2 x 16 pairs of terms of 16 columns, the two terms of a column side by
/// side.
///
/// For each step and product of parts, in the order above, every element gets
///
///   c += e + o,  e = sum over even terms, o = over odd terms, 16 fused multiply-adds each, from 0
///
/// which is what TDPBF16PS does (Intel 64 and IA-32 Architectures Software Developer's Manual,
/// volume 2). Results below the least normal number become 0.
using SplitTiles = void (*)(const void* a, int64_t panels, const void* b, int64_t steps, float* c);

/// Before the first and after the last of a thread's calls of `amx_tiles`: sets up the tile
/// registers, and gives them back. Together they cost as much as hundreds of multiplications.
void amx_begin();
void amx_end();
/// Products of panels by AMX tiles, in ../amx.cpp; only if `amx_works`.
template <int Parts>
void amx_tiles(const void* a, int64_t panels, const void* b, int64_t steps, float* c);

struct SplitKernels {
  SplitTiles tiles[3];      ///< the twin of AMX in vectors, for 1, 2 and 3 parts
  GemmHalf<float> twin[3];  ///< products by it
  GemmHalf<float> amx[3];   ///< products by AMX tiles: the same bits
};

namespace portable {
extern const SplitKernels split_kernels;
}
namespace avx2 {
extern const SplitKernels split_kernels;
}
namespace avx512 {
extern const SplitKernels split_kernels;
}

}  // namespace tessera
