#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "nn/module.h"

namespace tessera::beit3 {

/// One number for all parameters of a model: equal models have equal hashes, and a bit that differs
/// anywhere gives another hash, but for one chance in 2^64. It depends neither on threads nor on
/// how parameters lie in memory, and is the same before a checkpoint is written and after it is
/// read.
///
/// XXH64 with seed 0 of all tensors one after another, in the byte order of their published names
/// (queries, keys and values apart), each as
///
///   name, byte 0, dtype ("f32"), byte 0, rank, sizes, elements in row-major order
///
/// rank and sizes as 8 bytes each; numbers with their lowest byte first.
/// Source: Collet, "xxHash fast digest algorithm", version 0.1.1.
class ParameterHash {
 public:
  ParameterHash();
  ~ParameterHash();
  ParameterHash(const ParameterHash&) = delete;
  ParameterHash& operator=(const ParameterHash&) = delete;

  /// Names have to come in ascending order; StateError otherwise.
  void add(std::string_view name, const Tensor& tensor);
  /// Of what was added so far: 16 hexadecimal digits.
  std::string digits() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The hash of everything in a state dict.
std::string parameter_hash(const nn::StateDict& tensors);

}  // namespace tessera::beit3
