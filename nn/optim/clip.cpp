#include "nn/optim/clip.h"

#include "autograd/grad_mode.h"
#include "tensor/ops/cast.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/update.h"

namespace tessera::nn {

Tensors gradients(const NamedParameters& parameters) {
  Tensors result;
  for (const NamedParameter& p : parameters) {
    const Tensor g = p.tensor.grad();
    if (g.defined()) result.push_back(g.detach());
  }
  return result;
}

Tensor grad_norm(const NamedParameters& parameters) { return global_norm(gradients(parameters)); }

Tensor scaled_gradient(const Tensor& g, const Tensor& factor) {
  // 0 times infinity is no number: a bad gradient is replaced, not scaled.
  return where(factor <= 0.0, zeros({}, g.options()), g * factor.to(g.dtype()));
}

Tensor clip_gradients(const NamedParameters& parameters, double max_norm) {
  const NoGrad guard;
  const Tensors all = gradients(parameters);
  const Tensor norm = global_norm(all);
  const Tensor factor = clip_scale(norm, max_norm);
  for (const Tensor& g : all) copy_into(scaled_gradient(g, factor), g);
  return norm;
}

}  // namespace tessera::nn
