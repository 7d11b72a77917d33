#include "nn/layer_norm.h"

#include "tensor/ops/creation.h"
#include "tensor/ops/layer_norm.h"

namespace tessera::nn {

LayerNorm::LayerNorm(int64_t width, const LayerNormOptions& options) : eps(options.eps) {
  check<ValueError>(width > 0, "LayerNorm: width is {}, but must be positive", width);
  weight = parameter(ones({width}, options.tensor));
  bias = parameter(zeros({width}, options.tensor));
}

Tensor LayerNorm::operator()(const Tensor& x) const { return layer_norm(x, weight, bias, eps); }

void LayerNorm::fields(FieldVisitor& v) {
  v("weight", weight);
  v("bias", bias);
}

std::string LayerNorm::describe() const {
  return format("LayerNorm({}, eps {})", weight.size(0), eps);
}

}  // namespace tessera::nn
