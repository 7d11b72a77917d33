#include "nn/parameter.h"

#include "autograd/autograd.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::nn {
namespace {

Tensor made(const Shape& shape, double value, const ParameterOptions& o) {
  const TensorOptions tensor{o.dtype, o.device};
  // Stretched over the shape, the element is one that no op writes into.
  return requires_grad(o.shape_only ? expand(scalar(value, tensor), shape)
                                    : full(shape, value, tensor));
}

}  // namespace

Tensor zero_parameter(const Shape& shape, const ParameterOptions& options) {
  return made(shape, 0, options);
}
Tensor one_parameter(const Shape& shape, const ParameterOptions& options) {
  return made(shape, 1, options);
}

}  // namespace tessera::nn
