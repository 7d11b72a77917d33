#pragma once

#include "tensor/tensor.h"

/// An op outside of the library: copy this folder to start one of your own.
namespace new_op {

/// y = cap tanh(x / cap): close to x while |x| is far below `cap`, and never beyond it.
///
/// x    (...) f32 or f64, on the CPU; DTypeError or DeviceError otherwise
/// cap  > 0; ValueError otherwise
/// Differentiable at every order.
tessera::Tensor soft_cap(const tessera::Tensor& x, double cap);

}  // namespace new_op
