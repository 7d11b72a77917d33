#pragma once

#include <cstdint>
#include <vector>

#include "tensor/base/rng.h"

namespace tessera::beit3 {

/// Parameters of block-wise masking of a grid of patches.
struct BlockMaskOptions {
  int64_t rows = 14, columns = 14;
  int64_t masked = 75;      // patches to mask, exactly
  int64_t min_block = 16;   // smallest block area asked for
  int64_t max_block = 0;    // largest one; 0: no limit but `masked`
  double min_aspect = 0.3;  // height over width of a block: log-uniform in (a, 1/a)
};

/// Masks rectangular blocks until `masked` patches are hidden, never more; where no further block
/// fits, single patches are masked at random, so that the count is exact.
///
/// returns (rows * columns) bytes, 1 where masked; a pure function of options and key
///
/// Throws ValueError unless 0 <= masked <= rows * columns and the rest is in range.
/// Source: Bao et al., "BEiT", arXiv:2106.08254, algorithm 1; the exact count is BEiT v2's,
/// arXiv:2208.06366. Their values for a 14 x 14 grid are the defaults.
std::vector<uint8_t> block_mask(const BlockMaskOptions& options, RandomKey key);

/// round(ratio * n) to the nearest whole number, halves to even; at least 1 if n > 0, at most n.
/// Throws ValueError unless 0 <= ratio <= 1.
int64_t mask_count(int64_t n, double ratio);

/// Chooses mask_count(positions, ratio) of the eligible positions at random, each set of that size
/// being equally likely; returns them in ascending order. Each chosen token is to be replaced by
/// the mask token (no random or kept tokens, unlike BERT). Positions of BOS, EOS and padding are
/// not eligible and so not passed.
std::vector<int64_t> text_mask(const std::vector<int64_t>& eligible, double ratio, RandomKey key);

}  // namespace tessera::beit3
