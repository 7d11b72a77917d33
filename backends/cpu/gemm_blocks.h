#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tessera {

inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/// What decides how the result of a product is cut into blocks.
struct GemmExtent {
  int64_t rows = 0, cols = 0;
  bool packs_a = false;  ///< a block packs its part of A
  bool packs_b = false;  ///< and of B; else all of B is packed beforehand
};

/// Part of a result that one thread computes.
struct GemmRange {
  int64_t product = 0;  ///< its place among the products
  int64_t row = 0, rows = 0, col = 0, cols = 0;
};

/// Cuts the results of some products so that what a block reads stays in the second-level cache,
/// and hardly a thread is without a block in the end. The cut depends on the number of threads;
/// results do not depend on the cut.
std::vector<GemmRange> cut_blocks(std::span<const GemmExtent> products, int64_t tile_rows,
                                  int64_t tile_cols);

}  // namespace tessera
