#pragma once

#include <array>

#include "nn/module.h"
#include "tensor/ops/layer_norm.h"

namespace tessera::beit3 {

/// The branches of a Multiway module: image rows use A, text rows use B.
inline constexpr std::array<const char*, 2> kBranches{"A", "B"};

/// One tensor a branch.
using Branched = std::array<Tensor, 2>;

/// A linear map of each branch's own. Published names: "A.weight", "A.bias", "B.weight", "B.bias".
struct MultiwayLinear : nn::Module {
  Branched weight, bias;  // (out, in), (out)

  MultiwayLinear() = default;
  MultiwayLinear(int64_t in, int64_t out, const TensorOptions& options = {});
  /// x (N, in) -> (N, out)
  Tensor operator()(const Tensor& x, const RowGroups& groups) const;
  void fields(nn::FieldVisitor& v) override;
};

/// A layer norm of each branch's own.
struct MultiwayNorm : nn::Module {
  Branched weight, bias;  // (C)

  MultiwayNorm() = default;
  explicit MultiwayNorm(int64_t width, const TensorOptions& options = {});
  Tensor operator()(const Tensor& x, const RowGroups& groups, double eps) const;
  void fields(nn::FieldVisitor& v) override;
};

}  // namespace tessera::beit3
