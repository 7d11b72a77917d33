#pragma once

#include "nn/module.h"

namespace tessera::nn {

struct LayerNormOptions {
  double eps = 1e-5;
  TensorOptions tensor = {};
};

/// Layer normalisation over the last axis. weight (C) starts at 1, bias (C) at 0.
struct LayerNorm : Module {
  Tensor weight, bias;
  double eps;

  explicit LayerNorm(int64_t width, const LayerNormOptions& options = {});

  /// x (..., C) -> (..., C). Beside 16-bit x the parameters stay f32.
  Tensor operator()(const Tensor& x) const;
  void fields(FieldVisitor& v) override;
  std::string describe() const override;
};

}  // namespace tessera::nn
