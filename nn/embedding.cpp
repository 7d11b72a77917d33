#include "nn/embedding.h"

#include "nn/init.h"
#include "tensor/ops/index.h"

namespace tessera::nn {

Embedding::Embedding(int64_t rows, int64_t width, RandomKey key, const EmbeddingOptions& options) {
  check<ValueError>(rows > 0 && width > 0, "Embedding: ({}, {}), but sizes must be positive", rows,
                    width);
  weight = parameter(init::normal({rows, width}, key, options.std, options.tensor));
}

Tensor Embedding::operator()(const Tensor& index) const { return embedding(weight, index); }

void Embedding::fields(FieldVisitor& v) { v("weight", weight); }

std::string Embedding::describe() const {
  return format("Embedding({} rows of {})", weight.size(0), weight.size(1));
}

}  // namespace tessera::nn
