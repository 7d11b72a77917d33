#pragma once

#include "tensor/generator.h"
#include "tensor/tensor.h"

namespace tessera {

// Element i is a function of the key and i alone. Floating dtypes (16-bit: rounded from f32).
// Not differentiable: constants.

/// [low, high)
Tensor uniform(const Shape& shape, RandomKey key, const TensorOptions& options = {}, double low = 0,
               double high = 1);
/// Standard normal.
Tensor normal(const Shape& shape, RandomKey key, const TensorOptions& options = {});
/// Normal with standard deviation `std`, cut at `bound` standard deviations on both sides by
/// inversion (u uniform between the bounds' probabilities, then the normal quantile).
Tensor truncated_normal(const Shape& shape, RandomKey key, double std, double bound,
                        const TensorOptions& options = {});
/// Boolean, true with probability p.
Tensor bernoulli(const Shape& shape, RandomKey key, double p, const Device& device = kCpu);
/// A permutation of 0 … n-1, i64.
Tensor randperm(int64_t n, RandomKey key);

inline Tensor rand(const Shape& shape, Generator& rng, const TensorOptions& options = {}) {
  return uniform(shape, rng.next(), options);
}
inline Tensor randn(const Shape& shape, Generator& rng, const TensorOptions& options = {}) {
  return normal(shape, rng.next(), options);
}

}  // namespace tessera
