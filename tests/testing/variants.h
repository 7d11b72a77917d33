#pragma once

#include "tests/testing/op_case.h"

namespace tessera::testing {

/// Inputs of a case in some dtype and in some memory.
struct Variant {
  std::string name;  ///< the layout of each input
  Tensors inputs;
  bool uniform = true;    ///< one layout for all inputs
  bool expanded = false;  ///< some input is an expanded row of the sample's, so values differ
};

/// Every layout of inputs of the case: for one or two floating inputs all combinations, for more
/// all alike and each by itself. Layouts: contiguous, transposed, permuted (all axes reversed),
/// stepped (every other element of memory), offset (cut out of a larger tensor), expanded (one
/// row, stride 0), as far as the shape has them.
std::vector<Variant> variants(const OpCase& c, DType dtype = DType::f64);

/// The inputs of a case as `dtype`.
Tensors inputs_as(const OpCase& c, DType dtype);

inline bool floating(const Tensor& x) { return x.defined() && is_floating(x.dtype()); }

/// Does some input or output have no element?
bool is_empty(const OpCase& c);

/// The bytes of the whole storage behind each tensor, gaps included.
std::vector<std::vector<std::byte>> stored_bytes(const Tensors& xs);
/// The bytes of the elements of each tensor.
std::vector<std::vector<std::byte>> element_bytes(const Tensors& xs);

}  // namespace tessera::testing
