#pragma once

#include <numeric>

#include "tests/testing/tensors.h"

/// Points at which functions with kinks are smooth for as far as differences reach.
namespace tessera::testing {

/// Both signs, sizes 0.3, 0.4, … 1.9 give or take 0.01; with `shift` 0.05 more. Tensors of
/// different shift have no two elements near each other, and none is near 0.
inline Tensor off_grid(const Shape& shape, uint64_t seed, bool shift = false,
                       bool negative = true) {
  return by_position(shape, [=, stream = RandomStream(RandomKey{seed})](const auto&) mutable {
    const double size = 0.3 + 0.1 * static_cast<double>(stream.integer(17)) +
                        stream.uniform(-0.01, 0.01) + (shift ? 0.05 : 0);
    return negative && stream.chance(0.5) ? -size : size;
  });
}

/// Elements that are at least 0.1 apart from each other.
inline Tensor apart(const Shape& shape, uint64_t seed) {
  std::vector<double> values(static_cast<size_t>(numel(shape)));
  std::iota(values.begin(), values.end(), -0.3 * static_cast<double>(values.size()));
  RandomStream stream(RandomKey{seed});
  for (size_t i = values.size(); i-- > 1;) {
    std::swap(values[i], values[static_cast<size_t>(stream.integer(static_cast<int64_t>(i + 1)))]);
  }
  for (double& v : values) v = 0.12 * v + stream.uniform(-0.01, 0.01);
  return from_data(values, shape);
}

}  // namespace tessera::testing
