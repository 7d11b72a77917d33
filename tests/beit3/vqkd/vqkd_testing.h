#pragma once

#include <cstdio>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "beit3/vqkd/vqkd.h"
#include "nn/io/safetensors.h"
#include "tests/testing/tensors.h"

namespace tessera::beit3::testing {

/// A path of its own, removed at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& name)
      : path_(::testing::TempDir() + "vqkd-" + std::to_string(getpid()) + "-" + name) {}
  ~TemporaryFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Pictures of one or two coloured discs on a background, a function of the key.
inline Tensor blobs(int64_t count, int64_t side, RandomKey key) {
  std::vector<float> pixels(static_cast<size_t>(count * 3 * side * side));
  for (int64_t b = 0; b < count; ++b) {
    RandomStream draws(key.fold(static_cast<uint64_t>(b)));
    float* picture = pixels.data() + b * 3 * side * side;
    auto paint = [&](double top, double left, double radius) {
      for (int64_t c = 0; c < 3; ++c) {
        const float value = static_cast<float>(draws.integer(3)) * 0.45f + 0.05f;
        for (int64_t y = 0; y < side; ++y) {
          for (int64_t x = 0; x < side; ++x) {
            const double dy = static_cast<double>(y) - top, dx = static_cast<double>(x) - left;
            if (dy * dy + dx * dx < radius * radius) picture[(c * side + y) * side + x] = value;
          }
        }
      }
    };
    const double size = static_cast<double>(side);
    paint(0, 0, 2 * size);
    for (int64_t n = draws.integer(2) + 1; n > 0; --n) {
      paint(draws.uniform(0, size), draws.uniform(0, size), draws.uniform(0.15, 0.4) * size);
    }
  }
  return from_data(pixels, {count, 3, side, side});
}

}  // namespace tessera::beit3::testing
