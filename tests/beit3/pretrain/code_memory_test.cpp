#include "beit3/pretrain/code_memory.h"

#include <gtest/gtest.h>

namespace tessera::beit3 {
namespace {

/// Three patches a picture; sample s has the codes 10 s, 10 s + 1, 10 s + 2.
std::vector<int64_t> codes_of(int64_t sample) {
  return {10 * sample, 10 * sample + 1, 10 * sample + 2};
}

TEST(CodeMemory, EncodesEachPictureOnce) {
  CodeMemory memory;
  std::vector<int64_t> encoded;
  const auto ask = [&](const std::vector<int64_t>& samples) {
    const std::vector<int64_t> codes =
        memory.codes_of(samples, 3, [&](std::span<const int64_t> places) {
          std::vector<int64_t> fresh;
          for (int64_t place : places) {
            const int64_t sample = samples[static_cast<size_t>(place)];
            encoded.push_back(sample);
            for (int64_t code : codes_of(sample)) fresh.push_back(code);
          }
          return fresh;
        });
    std::vector<int64_t> expected;
    for (int64_t sample : samples) {
      for (int64_t code : codes_of(sample)) expected.push_back(code);
    }
    EXPECT_EQ(codes, expected);
  };
  ask({5, 900});
  ask({900, 7, 5, 8});
  ask({8, 7, 5});
  EXPECT_EQ(encoded, (std::vector<int64_t>{5, 900, 7, 8}));
}

TEST(CodeMemory, APictureMayComeTwiceInABatch) {
  CodeMemory memory;
  const std::vector<int64_t> samples{4, 4};
  const std::vector<int64_t> codes =
      memory.codes_of(samples, 3, [&](std::span<const int64_t> places) {
        std::vector<int64_t> fresh;
        for (size_t i = 0; i < places.size(); ++i) {
          for (int64_t code : codes_of(4)) fresh.push_back(code);
        }
        return fresh;
      });
  EXPECT_EQ(codes, (std::vector<int64_t>{40, 41, 42, 40, 41, 42}));
}

}  // namespace
}  // namespace tessera::beit3
