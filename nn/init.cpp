#include "nn/init.h"

#include <cmath>

#include "tensor/ops/cast.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/random.h"

namespace tessera::nn::init {

int64_t fan_in(const Shape& weight) {
  check<ShapeError>(weight.rank() >= 2, "init: a weight {} has no inputs; pass fan_in", weight);
  int64_t inputs = 1;
  for (int i = 1; i < weight.rank(); ++i) inputs *= weight[i];
  return inputs;
}

Tensor normal(const Shape& shape, RandomKey key, double std, const TensorOptions& options) {
  return tessera::normal(shape, key, options) * std;
}

Tensor uniform_fan_in(const Shape& shape, RandomKey key, int64_t fan_in,
                      const TensorOptions& options) {
  check<ValueError>(fan_in > 0, "init: fan_in is {}, but must be positive", fan_in);
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  return uniform(shape, key, options, -bound, bound);
}

Tensor uniform_fan_in(const Shape& weight, RandomKey key, const TensorOptions& options) {
  return uniform_fan_in(weight, key, fan_in(weight), options);
}

Tensor xavier_uniform(const Shape& weight, RandomKey key, double gain,
                      const TensorOptions& options) {
  const int64_t in = fan_in(weight);
  // Of a convolution, each output pixel too sees every tap.
  const int64_t taps = weight[1] == 0 ? 0 : in / weight[1];
  const double fans = static_cast<double>(in + weight[0] * taps);
  check<ValueError>(gain > 0 && fans > 0, "init: xavier_uniform of {} with gain {} is empty",
                    weight, gain);
  const double bound = gain * std::sqrt(6 / fans);
  return uniform(weight, key, options, -bound, bound);
}

Tensor truncated_normal_one_sigma(const Shape& shape, RandomKey key, double std,
                                  const TensorOptions& options) {
  return truncated_normal(shape, key, std, 1, options);
}

Tensor truncated_normal_absolute(const Shape& shape, RandomKey key, double std, double bound,
                                 const TensorOptions& options) {
  check<ValueError>(std > 0, "init: std is {}, but must be positive", std);
  return truncated_normal(shape, key, std, bound / std, options);
}

void set(const Tensor& parameter, const Tensor& value) {
  check<ShapeError>(value.shape() == parameter.shape(), "init: the value is {}, the parameter {}",
                    value.shape(), parameter.shape());
  copy_into(value.detach().to(parameter.device()), parameter.detach());
}

void scale(const Tensor& parameter, double factor) {
  copy_into(parameter.detach() * factor, parameter.detach());
}

}  // namespace tessera::nn::init
