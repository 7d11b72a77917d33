#pragma once

#include "tensor/base/rng.h"

namespace tessera {

/// A source of keys, handed over explicitly; never global. Each draw takes the next key.
class Generator {
 public:
  explicit Generator(uint64_t seed) : key_{seed} {}

  RandomKey next() { return key_.fold(counter_++); }

 private:
  RandomKey key_;
  uint64_t counter_ = 0;
};

}  // namespace tessera
