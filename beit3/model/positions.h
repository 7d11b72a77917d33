#pragma once

#include "tensor/tensor.h"

namespace tessera::beit3 {

struct ResampleOptions {
  int64_t special_rows = 1;  ///< rows at the front that stay as they are: class token, unused ones
  int64_t grid = 1;          ///< positions along a side afterwards
  double step = 1;           ///< distance of two new places, measured in old ones
};

/// A square table of learned positions for another number of patches: bicubic, a = -0.75, places
/// outside the table taken from its edge, no smoothing where the table shrinks.
///
///   new place o lies at (o + 1/2) step - 1/2 of the old ones, along rows as along columns
///
/// The released BEiT-3 loader uses the step old grid / new grid; the BEiT v2 tokenizer old grid /
/// (new grid + 0.1).
///
/// table    (special_rows + G^2, C), row by row of places
/// returns  (special_rows + grid^2, C), of table's dtype; differentiable
///
/// Throws ShapeError unless the table has that form.
/// Source: Keys, IEEE Trans. ASSP 29 (1981), eq. 4, with the a that PyTorch uses.
Tensor resample_positions(const Tensor& table, const ResampleOptions& options);

}  // namespace tessera::beit3
