#include "nn/linear.h"

#include "nn/init.h"
#include "tensor/ops/matmul.h"

namespace tessera::nn {

Linear::Linear(int64_t in, int64_t out, RandomKey key, const LinearOptions& options) {
  check<ValueError>(in > 0 && out > 0, "Linear: {} -> {}, but sizes must be positive", in, out);
  weight = parameter(init::uniform_fan_in({out, in}, key.fold(0), in, options.tensor));
  if (options.bias) {
    bias = parameter(init::uniform_fan_in({out}, key.fold(1), in, options.tensor));
  }
}

Tensor Linear::operator()(const Tensor& x) const { return linear(x, weight, bias); }

void Linear::fields(FieldVisitor& v) {
  v("weight", weight);
  v("bias", bias);
}

std::string Linear::describe() const {
  return format("Linear({} -> {}{})", weight.size(1), weight.size(0),
                bias.defined() ? "" : ", no bias");
}

}  // namespace tessera::nn
