#pragma once

#include "nn/module.h"
#include "tensor/base/rng.h"

namespace tessera::nn {

/// Cuts images into squares. images (B, C, H, W) -> (B * N, C * P * P), N = (H / P) (W / P)
/// patches an image, row by row; a patch's elements are in the order channel, y, x.
/// ShapeError unless P divides H and W.
Tensor patches(const Tensor& images, int64_t patch);
/// The reverse: rows (B * N, C * P * P) -> (B, C, height, width).
Tensor unpatches(const Tensor& rows, int64_t patch, int64_t channels, int64_t height,
                 int64_t width);

struct PatchEmbedOptions {
  int64_t channels = 3;
  TensorOptions tensor = {};
};

/// A convolution whose stride is its kernel: each patch times one matrix.
///
/// weight (D, C, P, P), as convolutions store it; bias (D). Both start uniform in ±1/sqrt(C P P).
struct PatchEmbed : Module {
  Tensor weight, bias;

  PatchEmbed(int64_t width, int64_t patch, RandomKey key, const PatchEmbedOptions& options = {});

  int64_t patch() const { return weight.size(2); }
  /// images (B, C, H, W) -> (B * N, D)
  Tensor operator()(const Tensor& images) const;
  /// proj.weight, proj.bias
  void fields(FieldVisitor& v) override;
  std::string describe() const override;
};

}  // namespace tessera::nn
