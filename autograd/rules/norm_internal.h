#pragma once

#include "autograd/rule_table.h"
#include "tensor/ops/layer_norm.h"

namespace tessera::detail {

/// The record inputs first … first + count - 1, as the rule saved them.
inline Tensors saved_range(const Saved& s, size_t first, size_t count) {
  Tensors all;
  for (size_t i = 0; i < count; ++i) all.push_back(s.input(first + i));
  return all;
}

/// Puts the parameters' gradients behind `results`, which are those of the inputs before them.
/// Nothing if the kernel declined.
inline std::optional<Tensors> norm_results(Tensors results, kernels::NormGrad grad) {
  if (!grad.dx.defined()) return std::nullopt;
  for (Tensor& dgamma : grad.dgamma) results.push_back(std::move(dgamma));
  for (Tensor& dbeta : grad.dbeta) results.push_back(std::move(dbeta));
  return results;
}

}  // namespace tessera::detail
