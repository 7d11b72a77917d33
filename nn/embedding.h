#pragma once

#include "nn/module.h"
#include "tensor/base/rng.h"

namespace tessera::nn {

struct EmbeddingOptions {
  double std = 1;  ///< of the first values, N(0, std^2)
  TensorOptions tensor = {};
};

/// A table with a row for each index. weight (V, C)
struct Embedding : Module {
  Tensor weight;

  Embedding(int64_t rows, int64_t width, RandomKey key, const EmbeddingOptions& options = {});

  /// index (...) i64 in 0 … V-1 (IndexError otherwise) -> (..., C)
  Tensor operator()(const Tensor& index) const;
  void fields(FieldVisitor& v) override;
  std::string describe() const override;
};

}  // namespace tessera::nn
