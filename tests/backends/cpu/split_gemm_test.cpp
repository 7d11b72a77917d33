#include "backends/cpu/isa/split_gemm.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "backends/cpu/amx.h"
#include "backends/cpu/cpu_features.h"
#include "backends/cpu/packed_gemm.h"
#include "tensor/base/half.h"
#include "tensor/base/parallel.h"
#include "tests/backends/cpu/host_array.h"

/// Products of f32 by way of bf16: what a tile of AMX does, in which order, and how exact it is.
namespace tessera {
namespace {

HostArray multiply(const HostArray& a, const HostArray& b, int parts, const ConstView& bias = {}) {
  HostArray c(DType::f32, {a.shape()[0], b.shape()[1]});
  const Product p{a.in(), b.in(), c.view(), bias, false};
  split_products({&p, 1}, parts);
  return c;
}

HostArray random(Shape shape, uint64_t seed, Layout layout = Layout::contiguous) {
  HostArray x(DType::f32, shape, layout);
  x.random(seed, -1, 1);
  return x;
}

float flushed(float x) {
  return std::abs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0f, x) : x;
}

/// The parts of x, by the conversion of storage.
std::vector<float> parts_of(float x, int parts) {
  std::vector<float> found;
  for (int i = 0; i < parts; ++i) {
    const float part = flushed(static_cast<float>(bf16(x)));
    found.push_back(part);
    x -= part;
  }
  return found;
}

/// An element as isa/split_gemm.h says, number by number: parts of 256 terms, in steps of 32.
float expected_sum(const std::vector<float>& a, const std::vector<float>& b, int parts) {
  const std::vector<std::pair<int, int>> products =
      parts == 1 ? std::vector<std::pair<int, int>>{{0, 0}}
      : parts == 2
          ? std::vector<std::pair<int, int>>{{0, 1}, {0, 0}, {1, 0}}
          : std::vector<std::pair<int, int>>{{0, 2}, {0, 1}, {1, 1}, {1, 0}, {2, 0}, {0, 0}};
  float total = 0;
  for (size_t begin = 0; begin < a.size(); begin += kGemmDepth) {
    float sum = 0;
    for (size_t step = begin; step < std::min(begin + kGemmDepth, a.size()); step += 32) {
      for (const auto& [x, y] : products) {
        float both[2] = {0, 0};
        for (size_t k = step; k < std::min(step + 32, a.size()); ++k) {
          float& chain = both[k % 2];
          chain = flushed(std::fma(parts_of(a[k], parts)[static_cast<size_t>(x)],
                                   parts_of(b[k], parts)[static_cast<size_t>(y)], chain));
        }
        sum = flushed(sum + flushed(both[0] + both[1]));
      }
    }
    total = begin == 0 ? sum : total + sum;
  }
  return total;
}

/// Numbers of very different size, so that the order of a sum shows in its bits.
HostArray wild(Shape shape, uint64_t seed) {
  HostArray x = random(shape, seed), scale = random(shape, seed + 100);
  const std::vector<double> values = x.values(), exponents = scale.values();
  x.fill([&](int64_t i) {
    const size_t at = static_cast<size_t>(i);
    return std::ldexp(values[at], static_cast<int>(12 * exponents[at]));
  });
  return x;
}

TEST(SplitGemm, ASumIsThatOfTheDocumentedOrder) {
  constexpr int64_t kRows = 35, kCols = 34, kDepth = 301;
  const HostArray a = wild({kRows, kDepth}, 1), b = wild({kDepth, kCols}, 2);
  for (int parts : {1, 2, 3}) {
    const HostArray c = multiply(a, b, parts);
    for (int64_t i = 0; i < kRows * kCols; i += 7) {
      std::vector<float> row, column;
      for (int64_t k = 0; k < kDepth; ++k) {
        row.push_back(static_cast<float>(a.get(i / kCols * kDepth + k)));
        column.push_back(static_cast<float>(b.get(k * kCols + i % kCols)));
      }
      ASSERT_EQ(static_cast<float>(c.get(i)), expected_sum(row, column, parts))
          << parts << " parts, element " << i;
    }
  }
}

TEST(SplitGemm, TinyNumbersCountAsZero) {
  HostArray a(DType::f32, {1, 4}), b(DType::f32, {4, 1});
  const double least = static_cast<double>(std::numeric_limits<float>::min());
  a.fill([&](int64_t k) { return k == 0 ? least / 2 : k == 1 ? least : 1.0; });
  b.fill([&](int64_t k) { return k == 1 ? 0.5 : k == 3 ? 3.0 : 1.0; });
  // least / 2 is no normal number, least * 0.5 gives none: both are gone beside 1 + 3.
  EXPECT_EQ(multiply(a, b, 3).get(0), 4.0);
  a.fill([&](int64_t k) { return k < 2 ? least / (2 - static_cast<double>(k)) : 0.0; });
  b.fill([&](int64_t k) { return k == 0 ? 2.0 : 0.5; });
  EXPECT_EQ(multiply(a, b, 3).get(0), 0.0);
  b.fill([&](int64_t) { return 1.0; });
  EXPECT_EQ(multiply(a, b, 3).get(0), least);
}

TEST(SplitGemm, WhatIsNotFiniteStaysVisible) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  HostArray a = random({3, 40}, 1);
  const HostArray b = random({40, 3}, 2);
  for (double bad : {kInfinity, -kInfinity, std::nan(""), 3.4e38}) {
    const double before = a.get(40 + 7);
    a.fill([&, values = a.values()](int64_t i) {
      return i == 40 + 7 ? bad : values[static_cast<size_t>(i)];
    });
    for (int parts : {1, 2, 3}) {
      const HostArray c = multiply(a, b, parts);
      for (int64_t i = 0; i < 9; ++i) {
        EXPECT_EQ(std::isfinite(c.get(i)), i / 3 != 1) << bad << ", element " << i;
      }
    }
    a.fill([&, values = a.values()](int64_t i) {
      return i == 40 + 7 ? before : values[static_cast<size_t>(i)];
    });
  }
}

/// Left out are products of parts below 2^-16 (two parts: x_1 y_1 and the rest beyond two parts) or
/// 2^-25 of x y; a sum of parts of 256 terms rounds as often as its chains are long.
TEST(SplitGemm, IsAsExactAsItsParts) {
  constexpr int64_t kRows = 20, kCols = 33, kDepth = 700;
  const HostArray a = wild({kRows, kDepth}, 1), b = wild({kDepth, kCols}, 2);
  const double left_out[] = {std::ldexp(1.0, -8) + std::ldexp(1.0, -18),
                             3 * std::ldexp(1.0, -18) + std::ldexp(1.0, -26),
                             3 * std::ldexp(1.0, -26)};
  const double roundings = 16 + 1 + 8 * 6 + 3;
  for (int parts : {1, 2, 3}) {
    const HostArray c = multiply(a, b, parts);
    double worst = 0;
    for (int64_t i = 0; i < kRows * kCols; ++i) {
      double sum = 0, size = 0;
      for (int64_t k = 0; k < kDepth; ++k) {
        const double term = a.get(i / kCols * kDepth + k) * b.get(k * kCols + i % kCols);
        sum += term;
        size += std::abs(term);
      }
      const double error = std::abs(c.get(i) - sum) / size;
      worst = std::max(worst, error);
      ASSERT_LE(error, left_out[parts - 1] + roundings * std::ldexp(1.0, -24)) << parts << " parts";
    }
    // Fewer parts are less exact: the bound of the next mode does not hold for them.
    if (parts == 3) continue;
    EXPECT_GT(worst, 4 * std::ldexp(1.0, parts == 1 ? -16 : -24)) << parts << " parts";
  }
}

TEST(SplitGemm, SameBitsForEveryInstructionSetThreadCountAndLayout) {
  const Isa isa_before = active_isa();
  const int threads_before = thread_count();
  for (const Shape& size : {Shape{1, 1, 1}, {5, 17, 33}, {61, 47, 300}, {130, 70, 513}}) {
    const int64_t m = size[0], n = size[1], k = size[2];
    const HostArray bias = random({n}, 3);
    for (int parts : {1, 2, 3}) {
      std::vector<char> expected;
      for (int set = 0; set <= static_cast<int>(best_isa()); ++set) {
        set_isa(static_cast<Isa>(set));
        for (int bits = 0; bits < 4; ++bits) {
          const Layout la = bits & 1 ? Layout::transposed : Layout::contiguous;
          const Layout lb = bits & 2 ? Layout::transposed : Layout::contiguous;
          set_thread_count(1 + bits);
          const HostArray c =
              multiply(random({m, k}, 1, la), random({k, n}, 2, lb), parts, bias.in());
          if (expected.empty()) expected = c.bytes();
          EXPECT_EQ(c.bytes(), expected) << to_string(active_isa()) << ", " << bits << ", " << parts
                                         << " parts, " << m << " x " << n << " x " << k;
        }
      }
    }
  }
  set_isa(isa_before);
  set_thread_count(threads_before);
}

TEST(SplitGemm, ARowDependsOnItsInputsAlone) {
  constexpr int64_t kRows = 211, kDepth = 600, kCols = 67;
  const HostArray b = random({kDepth, kCols}, 2), row = random({1, kDepth}, 1);
  HostArray a(DType::f32, {kRows, kDepth});
  a.fill([&](int64_t i) { return row.get(i % kDepth); });
  for (int parts : {1, 3}) {
    const HostArray alone = multiply(row, b, parts), together = multiply(a, b, parts);
    for (int64_t i = 0; i < kRows * kCols; ++i) {
      ASSERT_EQ(together.get(i), alone.get(i % kCols)) << "row " << i / kCols;
    }
  }
}

/// The instructions of AVX512-BF16, with which numbers are split for AMX, give the parts that plain
/// ones give: of all sizes, signs and what is not finite.
TEST(SplitGemm, NativePartsArePlainParts) {
  if (!cpu_features().avx512_bf16) GTEST_SKIP() << "no AVX512-BF16";
  constexpr int64_t kLines = 45, kDepth = 256;
  RandomStream random(RandomKey{5});
  std::vector<float> x(kLines * kDepth);
  for (float& v : x) v = std::bit_cast<float>(static_cast<uint32_t>(random.integer(1ll << 32)));
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float special[] = {0.0f,        -0.0f,         kInfinity,
                           -kInfinity,  std::nanf(""), 3.4e38f,
                           -3.4e38f,    1e-40f,        std::numeric_limits<float>::min(),
                           1 + 0x1p-8f, 1 + 0x3p-8f};
  std::copy(std::begin(special), std::end(special), x.begin());
  const GemmSource<float> sources[] = {{x.data(), kDepth, 1}, {x.data(), 1, kLines}};
  for (size_t parts = 1; parts <= 3; ++parts) {
    const GemmHalf<float>& plain = avx512::split_kernels.twin[parts - 1];
    const GemmHalf<float>& native = avx512::split_kernels.amx[parts - 1];
    for (const GemmSource<float>& source : sources) {
      std::vector<uint16_t> y(64 * kDepth * parts), z = y;
      plain.pack_a(source, kLines, kDepth, y.data());
      native.pack_a(source, kLines, kDepth, z.data());
      EXPECT_EQ(y, z) << parts << " parts of a";
      plain.pack_b(source, kLines, kDepth, y.data());
      native.pack_b(source, kLines, kDepth, z.data());
      EXPECT_EQ(y, z) << parts << " parts of b";
    }
  }
}

/// Where there are tiles, they and their twin in vectors give the same bits; elsewhere the reason
/// is told.
TEST(SplitGemm, AmxTilesAreTheirTwin) {
  if (!amx_works()) {
    EXPECT_NE(std::string(amx_trouble()), "its sums are not in the documented order");
    GTEST_SKIP() << "no AMX: " << amx_trouble();
  }
  const auto compare = [](auto tiles, SplitTiles twin, int64_t parts) {
    constexpr int64_t kPanels = 3, kSteps = 8;
    const int64_t step = parts * 2 * kHalfTile / 2;
    std::vector<uint16_t> a(static_cast<size_t>(kPanels * kSteps * step));
    std::vector<uint16_t> b(static_cast<size_t>(kSteps * step));
    RandomStream random(RandomKey{7});
    for (std::vector<uint16_t>* x : {&a, &b}) {
      for (uint16_t& v : *x) v = bf16(static_cast<float>(random.uniform(-1, 1))).bits;
    }
    std::vector<float> y(static_cast<size_t>(kPanels * kSplitTile * kSplitTile)), z = y;
    tiles(a.data(), kPanels, b.data(), kSteps, y.data());
    twin(a.data(), kPanels, b.data(), kSteps, z.data());
    EXPECT_EQ(std::memcmp(y.data(), z.data(), y.size() * sizeof(float)), 0) << parts << " parts";
  };
  amx_begin();
  compare(amx_tiles<1>, avx512::split_kernels.tiles[0], 1);
  compare(amx_tiles<2>, avx512::split_kernels.tiles[1], 2);
  compare(amx_tiles<3>, avx512::split_kernels.tiles[2], 3);
  amx_end();
}

}  // namespace
}  // namespace tessera
