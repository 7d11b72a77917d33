#pragma once

#include "nn/module.h"
#include "tensor/base/rng.h"

namespace tessera::nn {

struct LinearOptions {
  bool bias = true;
  TensorOptions tensor = {};
};

/// y = x W^T + b
///
/// weight (out, in), bias (out) or undefined; both start uniform in ±1/sqrt(in).
struct Linear : Module {
  Tensor weight, bias;

  Linear(int64_t in, int64_t out, RandomKey key, const LinearOptions& options = {});

  /// x (..., in) -> (..., out), dtype of x. Beside 16-bit x the parameters stay f32.
  Tensor operator()(const Tensor& x) const;
  void fields(FieldVisitor& v) override;
  std::string describe() const override;
};

}  // namespace tessera::nn
