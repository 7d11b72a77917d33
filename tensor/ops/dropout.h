#pragma once

#include "tensor/record.h"

namespace tessera {

struct Dropout final : Op {
  double p;
  RandomKey key;
  Dropout(double prob, RandomKey k) : p(prob), key(k) {}
  std::string_view name() const override { return "dropout"; }
};

/// Zeroes each element with probability p and divides the others by 1 - p. The mask is a function
/// of the key and the element's number: recomputed, never stored.
///
/// p  in [0, 1)
/// Source: Srivastava et al., JMLR 15 (2014), in the inverted form.
Tensor dropout(const Tensor& x, double p, RandomKey key);

/// Drop path's factor a row: 0 with probability p, else 1 / (1 - p), one draw a sample.
///
/// sample_ids  the sample of each row: rows of one sample share the draw
/// returns     (N) f32 (or the dtype asked for), a constant
/// Source: Huang et al., "Deep Networks with Stochastic Depth", arXiv:1603.09382.
Tensor drop_path_scale(std::span<const int64_t> sample_ids, double p, RandomKey key,
                       const TensorOptions& options = {});

/// x * row_scale, a factor a row of the first axis. A composition.
Tensor drop_path(const Tensor& x, const Tensor& row_scale);

namespace composed {
Tensor dropout(const Tensor& x, double p, RandomKey key);
}

}  // namespace tessera
