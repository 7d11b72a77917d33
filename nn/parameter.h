#pragma once

#include "tensor/tensor.h"

namespace tessera::nn {

/// How the parameters of a module are made.
struct ParameterOptions {
  DType dtype = DType::f32;
  Device device = kCpu;
  /// One element of memory stands for all elements of a parameter. A module of any size then has
  /// its names, shapes and counts; whatever would write into it throws StateError.
  bool shape_only = false;
};

/// A leaf of zeros: a parameter before it is initialised or loaded.
Tensor zero_parameter(const Shape& shape, const ParameterOptions& options = {});
/// A leaf of ones: the weight of a norm.
Tensor one_parameter(const Shape& shape, const ParameterOptions& options = {});

}  // namespace tessera::nn
