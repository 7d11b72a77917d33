#include "beit3/model/multiway.h"

#include "autograd/autograd.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/matmul.h"

namespace tessera::beit3 {
namespace {

template <class T>
void branch_fields(nn::FieldVisitor& v, T& module) {
  for (size_t i = 0; i < kBranches.size(); ++i) {
    v(std::string(kBranches[i]) + ".weight", module.weight[i]);
    v(std::string(kBranches[i]) + ".bias", module.bias[i]);
  }
}

}  // namespace

MultiwayLinear::MultiwayLinear(int64_t in, int64_t out, const TensorOptions& options) {
  for (Tensor& w : weight) w = requires_grad(zeros({out, in}, options));
  for (Tensor& b : bias) b = requires_grad(zeros({out}, options));
}

Tensor MultiwayLinear::operator()(const Tensor& x, const RowGroups& groups) const {
  return grouped_linear(x, groups, weight, bias);
}

void MultiwayLinear::fields(nn::FieldVisitor& v) { branch_fields(v, *this); }

MultiwayNorm::MultiwayNorm(int64_t width, const TensorOptions& options) {
  for (Tensor& w : weight) w = requires_grad(ones({width}, options));
  for (Tensor& b : bias) b = requires_grad(zeros({width}, options));
}

Tensor MultiwayNorm::operator()(const Tensor& x, const RowGroups& groups, double eps) const {
  return grouped_layer_norm(x, groups, weight, bias, eps);
}

void MultiwayNorm::fields(nn::FieldVisitor& v) { branch_fields(v, *this); }

}  // namespace tessera::beit3
