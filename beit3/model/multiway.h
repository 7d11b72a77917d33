#pragma once

#include <string>
#include <vector>

#include "beit3/model/packed.h"
#include "nn/module.h"
#include "nn/parameter.h"

namespace tessera::beit3 {

/// The experts of a Multiway module: how rows find theirs, and what they are called.
struct Experts {
  Routing routing = Routing::modality;
  /// One a range of the routing, in the order of the rows. An only expert may be called "": then
  /// published names have no part for it.
  std::vector<std::string> names;

  size_t size() const { return names.size(); }
  /// "A.", or "" for the expert without a name.
  std::string prefix(size_t i) const { return names[i].empty() ? "" : names[i] + "."; }
};

/// A linear map of each expert's own. Published names: "A.weight", "A.bias", "B.weight", …
struct MultiwayLinear : nn::Module {
  Experts experts;
  Tensors weight, bias;  // one an expert: (out, in), (out)

  MultiwayLinear() = default;
  MultiwayLinear(int64_t in, int64_t out, Experts experts,
                 const nn::ParameterOptions& options = {});
  /// x (N, in) -> (N, out)
  Tensor operator()(const Tensor& x, const Routes& routes) const;
  void fields(nn::FieldVisitor& v) override;
};

/// A layer norm of each expert's own.
struct MultiwayNorm : nn::Module {
  Experts experts;
  Tensors weight, bias;  // one an expert: (C)

  MultiwayNorm() = default;
  MultiwayNorm(int64_t width, Experts experts, const nn::ParameterOptions& options = {});
  /// x (N, C) -> (N, C)
  Tensor operator()(const Tensor& x, const Routes& routes, double eps) const;
  void fields(nn::FieldVisitor& v) override;
};

}  // namespace tessera::beit3
