#pragma once

#include <string>
#include <vector>

#include "autograd/autograd.h"
#include "tensor/base/rng.h"

namespace tessera::beit3::cli {

/// An op with inputs at which its derivatives are looked at.
struct GradcheckCase {
  std::string name;
  TensorFunction function;
  Tensors inputs;  ///< f64
};

/// One case or more an op; the inputs are functions of the key.
std::vector<GradcheckCase> gradcheck_cases(RandomKey key);

}  // namespace tessera::beit3::cli
