#pragma once

#include <cmath>
#include <cstdint>

#include "tensor/base/device_code.h"

namespace tessera {

/// Four random words: the output of one Philox block.
struct Philox4 {
  uint32_t word[4];
};

/// Philox 4x32-10: a counter-based generator, the same stream on every device.
///
/// key, counter  any values; equal arguments give equal words, different counters independent ones
/// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
TESSERA_HD inline Philox4 philox(uint64_t key, uint64_t counter_low, uint64_t counter_high = 0) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  uint32_t c0 = static_cast<uint32_t>(counter_low), c1 = static_cast<uint32_t>(counter_low >> 32);
  uint32_t c2 = static_cast<uint32_t>(counter_high), c3 = static_cast<uint32_t>(counter_high >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = 0xD2511F53ull * c0, p1 = 0xCD9E8D57ull * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

/// A word as a number in [0, 1) with 24 bits (exact in f32).
TESSERA_HD inline float uniform_from(uint32_t word) {
  return static_cast<float>(word >> 8) * (1.0f / 16777216.0f);
}

/// Names one stream of random numbers. Randomness is a function of keys: derive one key per
/// purpose, step, site and sample with `fold`, and nothing ever depends on the order of calls.
struct RandomKey {
  uint64_t value = 0;

  /// The key of sub-stream `n`.
  RandomKey fold(uint64_t n) const {
    const Philox4 block = philox(value, n, 0x666F6C64ull);  // "fold": apart from drawn words
    return {block.word[0] | static_cast<uint64_t>(block.word[1]) << 32};
  }
};

/// Draws one after another from the stream of a key, on the host.
class RandomStream {
 public:
  explicit RandomStream(RandomKey key) : key_(key.value) {}

  uint32_t word() {
    if (used_ == 4) {
      block_ = philox(key_, counter_++);
      used_ = 0;
    }
    return block_.word[used_++];
  }

  /// In [0, 1), 53 bits.
  double uniform() {
    const uint64_t high = word() >> 5, low = word() >> 6;
    return static_cast<double>(high * 67108864ull + low) * (1.0 / 9007199254740992.0);
  }

  /// In [low, high).
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  /// Uniform in 0 … n-1, without bias; n in 1 … 2^32.
  int64_t integer(int64_t n) {
    const uint64_t range = static_cast<uint64_t>(n);
    uint64_t product = word() * range;
    const uint64_t threshold = (0x100000000ull - range) % range;
    while ((product & 0xFFFFFFFFull) < threshold) product = word() * range;
    return static_cast<int64_t>(product >> 32);
  }

  bool chance(double probability) { return uniform() < probability; }

  /// Standard normal, Box-Muller.
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }

 private:
  uint64_t key_;
  uint64_t counter_ = 0;
  Philox4 block_{};
  int used_ = 4;
};

}  // namespace tessera
