#include "beit3/model/multiway.h"

#include "tensor/ops/layer_norm.h"
#include "tensor/ops/matmul.h"

namespace tessera::beit3 {
namespace {

template <class T>
void expert_fields(nn::FieldVisitor& v, T& module) {
  for (size_t i = 0; i < module.experts.size(); ++i) {
    v(module.experts.prefix(i) + "weight", module.weight[i]);
    v(module.experts.prefix(i) + "bias", module.bias[i]);
  }
}

}  // namespace

MultiwayLinear::MultiwayLinear(int64_t in, int64_t out, Experts e,
                               const nn::ParameterOptions& options)
    : experts(std::move(e)) {
  for (size_t i = 0; i < experts.size(); ++i) {
    weight.push_back(nn::zero_parameter({out, in}, options));
    bias.push_back(nn::zero_parameter({out}, options));
  }
}

Tensor MultiwayLinear::operator()(const Tensor& x, const Routes& routes) const {
  return grouped_linear(x, routes[experts.routing], weight, bias);
}

void MultiwayLinear::fields(nn::FieldVisitor& v) { expert_fields(v, *this); }

MultiwayNorm::MultiwayNorm(int64_t width, Experts e, const nn::ParameterOptions& options)
    : experts(std::move(e)) {
  for (size_t i = 0; i < experts.size(); ++i) {
    weight.push_back(nn::one_parameter({width}, options));
    bias.push_back(nn::zero_parameter({width}, options));
  }
}

Tensor MultiwayNorm::operator()(const Tensor& x, const Routes& routes, double eps) const {
  return grouped_layer_norm(x, routes[experts.routing], weight, bias, eps);
}

void MultiwayNorm::fields(nn::FieldVisitor& v) { expert_fields(v, *this); }

}  // namespace tessera::beit3
