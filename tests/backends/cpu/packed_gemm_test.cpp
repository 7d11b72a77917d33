#include "backends/cpu/packed_gemm.h"

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "backends/cpu/cpu_features.h"
#include "tensor/base/parallel.h"
#include "tests/backends/cpu/host_array.h"

/// What our own products promise beyond their values (products_test.cpp): which bits depend on
/// what.
namespace tessera {
namespace {

HostArray multiply(const HostArray& a, const HostArray& b, const ConstView& bias = {}) {
  HostArray c(a.dtype(), {a.shape()[0], b.shape()[1]});
  const Product p{a.in(), b.in(), c.view(), bias, false};
  packed_products({&p, 1});
  return c;
}

HostArray random(DType dtype, Shape shape, uint64_t seed, Layout layout = Layout::contiguous) {
  HostArray x(dtype, shape, layout);
  x.random(seed, -1, 1);
  return x;
}

TEST(PackedGemm, ARowDependsOnItsInputsAlone) {
  constexpr int64_t kRows = 211, kDepth = 600, kCols = 67;
  const HostArray b = random(DType::f32, {kDepth, kCols}, 2);
  HostArray a(DType::f32, {kRows, kDepth});
  const HostArray row = random(DType::f32, {1, kDepth}, 1);
  a.fill([&](int64_t i) { return row.get(i % kDepth); });
  const HostArray alone = multiply(row, b), together = multiply(a, b);
  for (int64_t i = 0; i < kRows * kCols; ++i) {
    ASSERT_EQ(together.get(i), alone.get(i % kCols)) << "row " << i / kCols;
  }
}

TEST(PackedGemm, AnElementDoesNotDependOnTheOtherColumns) {
  constexpr int64_t kRows = 30, kDepth = 300, kCols = 50;
  const HostArray a = random(DType::f32, {kRows, kDepth}, 1);
  const HostArray b = random(DType::f32, {kDepth, kCols}, 2);
  const HostArray whole = multiply(a, b);
  for (int64_t j = 0; j < kCols; j += 7) {
    HostArray column(DType::f32, {kDepth, 1});
    column.fill([&](int64_t k) { return b.get(k * kCols + j); });
    const HostArray alone = multiply(a, column);
    for (int64_t i = 0; i < kRows; ++i) ASSERT_EQ(whole.get(i * kCols + j), alone.get(i)) << j;
  }
}

TEST(PackedGemm, LayoutsChangeNoBits) {
  const HostArray a = random(DType::f32, {45, 300}, 1), b = random(DType::f32, {300, 70}, 2);
  const HostArray expected = multiply(a, b);
  for (bool ta : {false, true}) {
    for (bool tb : {false, true}) {
      const HostArray c =
          multiply(random(DType::f32, {45, 300}, 1, ta ? Layout::transposed : Layout::contiguous),
                   random(DType::f32, {300, 70}, 2, tb ? Layout::transposed : Layout::contiguous));
      EXPECT_EQ(c.bytes(), expected.bytes()) << ta << tb;
    }
  }
}

TEST(PackedGemm, SameBitsOnEveryInstructionSetAndThreadCount) {
  const Isa isa_before = active_isa();
  const int threads_before = thread_count();
  struct Case {
    int64_t m, n, k;
  };
  for (DType dtype : {DType::f32, DType::f64}) {
    for (const Case& size : {Case{1, 1, 1}, {5, 17, 33}, {61, 47, 300}, {130, 70, 513}}) {
      const HostArray a = random(dtype, {size.m, size.k}, 1);
      const HostArray b = random(dtype, {size.k, size.n}, 2), bias = random(dtype, {size.n}, 3);
      std::vector<char> expected;
      for (int set = 0; set <= static_cast<int>(best_isa()); ++set) {
        for (int threads : {1, 2, 3, 8}) {
          set_isa(static_cast<Isa>(set));
          set_thread_count(threads);
          const HostArray c = multiply(a, b, bias.in());
          if (expected.empty()) expected = c.bytes();
          EXPECT_EQ(c.bytes(), expected)
              << to_string(active_isa()) << ", " << threads << " threads, " << size.m << " x "
              << size.n << " x " << size.k;
        }
      }
    }
  }
  set_isa(isa_before);
  set_thread_count(threads_before);
}

/// Few rows beside the columns: a block packs what it needs of b, which lies one way or the other.
TEST(PackedGemm, FewRowsHaveTheSameBitsHoweverBLies) {
  struct Case {
    int64_t m, n, k;
  };
  for (DType dtype : {DType::f32, DType::f64}) {
    for (const Case& size : {Case{1, 5, 3},
                             {1, 300, 1},
                             {5, 17, 9},
                             {7, 97, 64},
                             {16, 96, 256},
                             {13, 203, 513},
                             {50, 130, 600},
                             {300, 700, 600}}) {
      const HostArray a = random(dtype, {size.m, size.k}, 1), bias = random(dtype, {size.n}, 3);
      const HostArray across = random(dtype, {size.k, size.n}, 2);
      const HostArray along = random(dtype, {size.k, size.n}, 2, Layout::transposed);
      const std::string name = format("{} x {} x {}", size.m, size.n, size.k);
      EXPECT_EQ(multiply(a, along).bytes(), multiply(a, across).bytes()) << name;
      EXPECT_EQ(multiply(a, along, bias.in()).bytes(), multiply(a, across, bias.in()).bytes())
          << name << " with a bias";
    }
  }
}

TEST(PackedGemm, FewRowsOfManyTermsHaveTheSameBitsHoweverBLies) {
  const HostArray a = random(DType::f32, {300, 20000}, 1), bias = random(DType::f32, {330}, 3);
  const HostArray across = random(DType::f32, {20000, 330}, 2);
  const HostArray along = random(DType::f32, {20000, 330}, 2, Layout::transposed);
  EXPECT_EQ(multiply(a, along, bias.in()).bytes(), multiply(a, across, bias.in()).bytes());
}

TEST(PackedGemm, FewRowsWriteTheirOwnRowsAlone) {
  // The result is every other row of a larger matrix, and the left part of those.
  constexpr int64_t kRows = 9, kCols = 101, kWide = 120, kDepth = 300;
  const HostArray a = random(DType::f32, {kRows, kDepth}, 1);
  const HostArray b = random(DType::f32, {kDepth, kCols}, 2, Layout::transposed);
  const HostArray expected = multiply(a, b);
  HostArray large(DType::f32, {2 * kRows, kWide});
  large.fill([](int64_t) { return 7.0; });
  View c = large.view();
  c.shape = {kRows, kCols};
  c.strides = {2 * kWide, 1};
  const Product p{a.in(), b.in(), c, {}, false};
  packed_products({&p, 1});
  for (int64_t i = 0; i < 2 * kRows * kWide; ++i) {
    const int64_t row = i / kWide, col = i % kWide;
    const bool inside = row % 2 == 0 && col < kCols;
    ASSERT_EQ(large.get(i), inside ? expected.get(row / 2 * kCols + col) : 7.0)
        << row << " " << col;
  }
}

/// Gradients of weights: a and b both lie across the sums, and each block packs both. Beside it a
/// product whose b is packed beforehand, in more rounds than one.
TEST(PackedGemm, BlocksThatPackBothSidesHaveTheSameBits) {
  const Isa isa_before = active_isa();
  const int threads_before = thread_count();
  struct Case {
    int64_t m, n, k;
  };
  for (DType dtype : {DType::f32, DType::f64}) {
    for (const Case& size : {Case{61, 401, 700}, {1, 300, 900}, {270, 810, 300}}) {
      const HostArray a = random(dtype, {size.m, size.k}, 1), bias = random(dtype, {size.n}, 3);
      const HostArray across = random(dtype, {size.m, size.k}, 1, Layout::transposed);
      const HostArray b = random(dtype, {size.k, size.n}, 2),
                      c0 = random(dtype, {size.m, size.n}, 4);
      const HostArray long_a = random(dtype, {2, 300000}, 5),
                      long_b = random(dtype, {300000, 3}, 6);
      const HostArray expected = multiply(a, b, bias.in()),
                      long_expected = multiply(long_a, long_b);
      HostArray sum(dtype, {size.m, size.n});
      sum.fill([&](int64_t i) { return c0.get(i); });
      const Product add{a.in(), b.in(), sum.view(), {}, true};
      packed_products({&add, 1});
      const bool small = size.m * size.n * size.k < (20 << 20);
      const int best = static_cast<int>(best_isa());
      for (int set = small ? 0 : best; set <= best; ++set) {
        for (int threads : {1, 2, 3, 8}) {
          set_isa(static_cast<Isa>(set));
          set_thread_count(threads);
          const std::string name = format("{}, {} threads, {} x {} x {}", to_string(active_isa()),
                                          threads, size.m, size.n, size.k);
          HostArray c(dtype, {size.m, size.n}), long_c(dtype, {2, 3});
          const Product both[] = {{across.in(), b.in(), c.view(), bias.in(), false},
                                  {long_a.in(), long_b.in(), long_c.view(), {}, false}};
          packed_products(both);
          EXPECT_EQ(c.bytes(), expected.bytes()) << name;
          EXPECT_EQ(long_c.bytes(), long_expected.bytes()) << name;
          c.fill([&](int64_t i) { return c0.get(i); });
          const Product added{across.in(), b.in(), c.view(), {}, true};
          packed_products({&added, 1});
          EXPECT_EQ(c.bytes(), sum.bytes()) << name << ", added";
        }
      }
    }
  }
  set_isa(isa_before);
  set_thread_count(threads_before);
}

TEST(PackedGemm, SumsTooLongForOneRound) {
  // 16 columns padded times 300,000 terms pass the memory of a round.
  constexpr int64_t kDepth = 300000;
  const HostArray a = random(DType::f32, {2, kDepth}, 1), b = random(DType::f32, {kDepth, 3}, 2);
  const HostArray bias = random(DType::f32, {3}, 3);
  const HostArray c = multiply(a, b, bias.in());
  for (int64_t i = 0; i < 6; ++i) {
    double expected = bias.get(i % 3), size = std::abs(expected);
    for (int64_t k = 0; k < kDepth; ++k) {
      const double term = a.get(i / 3 * kDepth + k) * b.get(k * 3 + i % 3);
      expected += term;
      size += std::abs(term);
    }
    // Parts of 256 terms, then kDepth / 256 parts.
    const double roundings = std::sqrt(256.0) + std::sqrt(kDepth / 256.0);
    EXPECT_TRUE(close(c.get(i), expected, roundings * epsilon_of(DType::f32) * size)) << i;
  }
}

TEST(PackedGemm, ABiasOfAnyStride) {
  const HostArray a = random(DType::f32, {4, 10}, 1), b = random(DType::f32, {10, 5}, 2);
  const HostArray bias = random(DType::f32, {5}, 3);
  HostArray spread(DType::f32, {10});
  spread.fill([&](int64_t i) { return bias.get(i / 2); });
  ConstView every_other = spread.in();
  every_other.shape = {5};
  every_other.strides = {2};
  EXPECT_EQ(multiply(a, b, every_other).bytes(), multiply(a, b, bias.in()).bytes());
}

}  // namespace
}  // namespace tessera
