#pragma once

#include "tensor/base/rng.h"
#include "tensor/tensor.h"

/// First values of parameters. Each is a function of the key and the shape alone. A weight's first
/// axis is its outputs, the product of the others its inputs (fan-in).
namespace tessera::nn::init {

/// Number of inputs of a weight: product of all axes but the first. ShapeError below rank 2.
int64_t fan_in(const Shape& weight);

/// N(0, std^2).
Tensor normal(const Shape& shape, RandomKey key, double std, const TensorOptions& options = {});

/// U[-1/sqrt(fan_in), 1/sqrt(fan_in)): what most frameworks give linear layers and convolutions,
/// weights and biases alike.
/// Source: LeCun, Bottou, Orr, Müller, "Efficient BackProp", 1998, section 4.6 (the scale).
Tensor uniform_fan_in(const Shape& shape, RandomKey key, int64_t fan_in,
                      const TensorOptions& options = {});
/// The same for a weight, whose shape says its fan-in.
Tensor uniform_fan_in(const Shape& weight, RandomKey key, const TensorOptions& options = {});

/// U[-a, a), a = gain sqrt(6 / (fan_in + fan_out)), for a weight (out, in).
/// Source: Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural
/// networks", AISTATS 2010, eq. 16.
Tensor xavier_uniform(const Shape& weight, RandomKey key, double gain = 1,
                      const TensorOptions& options = {});

/// N(0, std^2) cut at one standard deviation on both sides: what the BEiT family means by a
/// truncated normal, because its helper passes ±std as bounds. The standard deviation that
/// remains is 0.53956 std.
Tensor truncated_normal_one_sigma(const Shape& shape, RandomKey key, double std = 0.02,
                                  const TensorOptions& options = {});

/// N(0, std^2) cut at ±2, in absolute terms: what common vision libraries do by default. With
/// their std of 0.02 nothing is ever cut, so it is a plain normal.
Tensor truncated_normal_absolute(const Shape& shape, RandomKey key, double std = 0.02,
                                 double bound = 2, const TensorOptions& options = {});

/// Writes `value` into a parameter, in place and outside of any recording.
void set(const Tensor& parameter, const Tensor& value);
/// Multiplies a parameter in place, outside of any recording.
void scale(const Tensor& parameter, double factor);

}  // namespace tessera::nn::init
