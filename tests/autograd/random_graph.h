#pragma once

#include <cstdint>
#include <vector>

#include "tests/testing/rounded.h"

namespace tessera::testing {

/// One op of a graph, on earlier values.
struct Step {
  enum Kind { unary, binary, fold, row_wise, product, turn, cut, join, pick };

  Kind kind;
  size_t which;  // of the kind
  size_t a, b;   // values; b of binary, product, join
  int axis;
};

/// A drawn expression graph, with the values of its leaves and steps by plain loops.
struct Graph {
  Tensors leaves;  // f64 matrices of up to 4 x 4, of numbers that f32 has
  std::vector<Step> steps;
  Grids values;        // of leaves and steps
  bool smooth = true;  // has no step with a kink

  const Grid& result() const { return values.back(); }
  /// The same by ops, on leaves of any dtype and in any memory.
  Tensor run(const Tensors& in) const;
};

/// 2 or 3 leaves and 4 to 15 steps; a function of the seed.
Graph drawn_graph(uint64_t seed);

}  // namespace tessera::testing
