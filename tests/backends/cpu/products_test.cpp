#include <gtest/gtest.h>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_features.h"
#include "backends/cpu/gemm.h"
#include "tensor/base/parallel.h"
#include "tests/backends/cpu/host_array.h"

namespace tessera {
namespace {

struct Case {
  int64_t m, n, k;
};

/// One product with everything that goes with it; the operands are transposed in memory on demand.
struct Operands {
  Operands(DType dtype, Case size, bool ta, bool tb)
      : a(dtype, {size.m, size.k}, ta ? Layout::transposed : Layout::contiguous),
        b(dtype, {size.k, size.n}, tb ? Layout::transposed : Layout::contiguous),
        c(dtype, {size.m, size.n}),
        bias(dtype, {size.n}) {
    a.random(1, -1, 1);
    b.random(2, -1, 1);
    c.random(3, -1, 1);
    bias.random(4, -1, 1);
  }
  HostArray a, b, c, bias;
};

/// Runs the product and compares every element (or, of big ones, some) with f64 sums.
void check_product(Operands& o, bool with_bias, bool accumulate) {
  const int64_t m = o.c.shape()[0], n = o.c.shape()[1], k = o.a.shape()[1];
  const std::vector<double> before = o.c.values(), a = o.a.values(), b = o.b.values();
  o.c.arm();
  const Product p{o.a.in(), o.b.in(), o.c.view(), with_bias ? o.bias.in() : ConstView{},
                  accumulate};
  cpu_backend().products({&p, 1});
  const int64_t step = m * n * k > 500000 ? 97 : 1;
  for (int64_t i = 0; i < m * n; i += step) {
    double expected = accumulate ? before[static_cast<size_t>(i)] : 0, size = std::abs(expected);
    if (with_bias) {
      expected += o.bias.get(i % n);
      size += std::abs(o.bias.get(i % n));
    }
    for (int64_t j = 0; j < k; ++j) {
      const double term =
          a[static_cast<size_t>(i / n * k + j)] * b[static_cast<size_t>(j * n + i % n)];
      expected += term;
      size += std::abs(term);
    }
    const double roundings = 4 + std::sqrt(static_cast<double>(k));
    ASSERT_TRUE(close(o.c.get(i), expected, roundings * epsilon_of(o.c.dtype()) * size))
        << m << " " << n << " " << k << " at " << i;
  }
  ASSERT_TRUE(o.c.untouched_outside());
}

/// Each test of values runs with our own kernels, in f32 and by way of bf16, and with OpenBLAS.
class Products : public ::testing::TestWithParam<const char*> {
 protected:
  Products() { set_gemm(GetParam()); }
  ~Products() override { set_gemm("auto"); }
};
INSTANTIATE_TEST_SUITE_P(By, Products, ::testing::Values("packed", "openblas", "bf16x6"),
                         [](const auto& by) { return std::string(by.param); });

TEST_P(Products, AgainstSumsInF64) {
  for (const Case& size : {Case{1, 1, 1},
                           {1, 1, 5},
                           {1, 7, 1},
                           {7, 1, 1},
                           {1, 40, 30},
                           {40, 1, 30},
                           {3, 5, 7},
                           {16, 16, 16},
                           {33, 65, 17},
                           {50, 50, 50},
                           {197, 197, 64},
                           {400, 200, 30},
                           {577, 96, 40},
                           {96, 288, 600},
                           {20, 30, 3000}}) {
    for (int bits = 0; bits < 16; ++bits) {
      for (DType dtype : {DType::f32, DType::f64}) {
        Operands o(dtype, size, bits & 1, bits & 2);
        check_product(o, bits & 4, bits & 8);
        if (HasFatalFailure()) return;
      }
    }
  }
}

/// The gradient of a bias comes with that of its weight: a is transposed, long and short.
TEST_P(Products, SumsOfRows) {
  for (DType dtype : {DType::f32, DType::f64}) {
    for (const Case& size :
         {Case{1, 1, 1}, {5, 3, 2}, {40, 7, 600}, {1100, 30, 50}, {1100, 9, 300}}) {
      for (int bits = 0; bits < 8; ++bits) {
        const bool across = bits & 1, accumulate = bits & 2, spread = bits & 4;
        Operands o(dtype, size, across, false);
        HostArray sums(dtype, {2 * size.m});
        sums.random(5, -1, 1);
        const std::vector<double> before = sums.values(), a = o.a.values();
        View to = sums.view();
        to.shape = {size.m};
        if (spread) to.strides = {2};
        const Product p{o.a.in(), o.b.in(), o.c.view(), {}, false, to, accumulate};
        cpu_backend().products({&p, 1});
        const int64_t step = spread ? 2 : 1;
        for (int64_t i = 0; i < size.m; ++i) {
          double expected = accumulate ? before[static_cast<size_t>(i * step)] : 0;
          double total = std::abs(expected);
          for (int64_t k = 0; k < size.k; ++k) {
            const double x = a[static_cast<size_t>(i * size.k + k)];
            expected += x;
            total += std::abs(x);
          }
          const double roundings = 4 + std::sqrt(static_cast<double>(size.k));
          ASSERT_TRUE(close(sums.get(i * step), expected, roundings * epsilon_of(dtype) * total))
              << size.m << " " << size.n << " " << size.k << " bits " << bits << " at " << i;
        }
        for (int64_t i = spread ? 1 : size.m; i < 2 * size.m; i += step) {
          ASSERT_EQ(sums.get(i), before[static_cast<size_t>(i)]) << "beside the sums, " << i;
        }
      }
    }
  }
}

TEST_P(Products, EmptyAxes) {
  for (const Case& size : {Case{0, 3, 4}, {3, 0, 4}, {3, 4, 0}, {0, 0, 0}}) {
    for (int bits = 0; bits < 16; ++bits) {
      Operands o(DType::f32, size, bits & 1, bits & 2);
      check_product(o, bits & 4, bits & 8);
    }
  }
  cpu_backend().products({});
}

TEST_P(Products, RowViews) {
  // Operands and result are column ranges of wider matrices: leading dimensions beyond the widths.
  HostArray wide_a(DType::f32, {50, 100}), wide_b(DType::f32, {60, 90}),
      wide_c(DType::f32, {50, 80});
  wide_a.random(1);
  wide_b.random(2);
  wide_c.fill([](int64_t) { return 7; });
  auto columns = [](View v, int64_t begin, int64_t count) {
    v.data = v.as<float>() + begin;
    v.shape[1] = count;
    return v;
  };
  const View c = columns(wide_c.view(), 5, 40);
  const Product p{columns(wide_a.view(), 10, 60), columns(wide_b.view(), 3, 40), c, {}, false};
  cpu_backend().products({&p, 1});
  for (int64_t i = 0; i < 50; ++i) {
    for (int64_t j = 0; j < 80; ++j) {
      if (j < 5 || j >= 45) {
        ASSERT_EQ(wide_c.get(i * 80 + j), 7);
        continue;
      }
      double expected = 0;
      for (int64_t k = 0; k < 60; ++k) {
        expected += wide_a.get(i * 100 + 10 + k) * wide_b.get(k * 90 + j - 5 + 3);
      }
      ASSERT_NEAR(wide_c.get(i * 80 + j), expected, 1e-3);
    }
  }
}

TEST_P(Products, ManyOfDifferentSizesInOneCall) {
  std::vector<Operands> operands;
  for (int64_t i = 1; i < 40; ++i)
    operands.emplace_back(DType::f32, Case{i, 41 - i, 3 * i % 17}, i & 1, i & 2);
  std::vector<Product> products;
  for (Operands& o : operands)
    products.push_back({o.a.in(), o.b.in(), o.c.view(), o.bias.in(), false});
  cpu_backend().products(products);
  for (Operands& o : operands) {
    const HostArray together = o.c;
    check_product(o, true, false);
    ASSERT_EQ(together.bytes(), o.c.bytes());
  }
}

TEST_P(Products, AnyStridesOfAxesOfSizeOne) {
  Operands o(DType::f32, {1, 6, 5}, false, false);
  ConstView a = o.a.in();
  a.strides[0] = 0;
  const Product p{a, o.b.in(), o.c.view(), {}, false};
  cpu_backend().products({&p, 1});
  double expected = 0;
  for (int64_t k = 0; k < 5; ++k) expected += o.a.get(k) * o.b.get(6 * k + 2);
  EXPECT_NEAR(o.c.get(2), expected, 1e-5);
}

TEST_P(Products, RefusesAMatrixWithoutUnitStride) {
  Operands o(DType::f32, {6, 6, 6}, false, false);
  HostArray sliced(DType::f32, {6, 6}, Layout::sliced);
  ConstView expanded = o.a.in();
  expanded.strides[0] = 0;
  for (const ConstView& a : {sliced.in(), expanded}) {
    const Product p{a, o.b.in(), o.c.view(), {}, false};
    EXPECT_THROW(cpu_backend().products({&p, 1}), InternalError);
  }
}

TEST_P(Products, SameBitsForAnyNumberOfThreads) {
  const int threads = thread_count();
  for (const Case& size : {Case{788, 288, 96}, {96, 288, 788}, {400, 768, 100}, {64, 64, 64}}) {
    std::vector<char> first;
    for (int count : {1, 2, 3, 4}) {
      set_thread_count(count);
      Operands o(DType::f32, size, false, true);
      const Product p{o.a.in(), o.b.in(), o.c.view(), o.bias.in(), true};
      cpu_backend().products({&p, 1});
      if (first.empty()) first = o.c.bytes();
      ASSERT_EQ(first, o.c.bytes()) << count;
    }
  }
  set_thread_count(threads);
}

}  // namespace
}  // namespace tessera
