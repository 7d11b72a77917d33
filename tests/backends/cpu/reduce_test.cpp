#include <limits>

#include <gtest/gtest.h>

#include "backends/cpu/cpu_backend.h"
#include "tests/backends/cpu/host_array.h"

namespace tessera {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Row-major number, in the reduced shape, of element i of `shape`.
int64_t reduced_number(const Shape& shape, const Shape& reduced, int64_t i) {
  int64_t y = 0, step = 1;
  for (int k = shape.rank() - 1; k >= 0; --k) {
    if (reduced[k] != 1) y += i % shape[k] * step;
    step *= reduced[k];
    i /= shape[k];
  }
  return y;
}

/// Every set of axes of every shape, in every layout.
template <class F>
void for_reductions(F&& f) {
  std::vector<Shape> shapes = test_shapes();
  shapes.push_back({3, 70000});
  shapes.push_back({9000, 12});
  for (const Shape& shape : shapes) {
    for (int set = 0; set < 1 << shape.rank(); ++set) {
      Shape reduced = shape;
      for (int k = 0; k < shape.rank(); ++k) {
        if (set >> k & 1) reduced[k] = 1;
      }
      for (Layout in : kInputLayouts) {
        const Layout out = set % 2 == 0 ? Layout::contiguous : Layout::sliced;
        SCOPED_TRACE(format("{} -> {} {}", shape, reduced, to_string(in)));
        f(shape, reduced, in, out);
        if (::testing::Test::HasFailure()) return;
      }
    }
  }
}

TEST(Reduce, SumOverEverySetOfAxes) {
  for_reductions([](const Shape& shape, const Shape& reduced, Layout in, Layout out) {
    for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::i64}) {
      for (bool accumulate : {false, true}) {
        HostArray x(dtype, shape, in), y(dtype, reduced, out);
        x.random(1);
        y.random(2);
        std::vector<long double> sum, size;
        for (int64_t i = 0; i < y.numel(); ++i) {
          sum.push_back(accumulate ? y.get(i) : 0);
          size.push_back(std::abs(static_cast<double>(sum.back())));
        }
        for (int64_t i = 0; i < x.numel(); ++i) {
          const size_t at = static_cast<size_t>(reduced_number(shape, reduced, i));
          sum[at] += x.get(i);
          size[at] += std::abs(x.get(i));
        }
        y.arm();
        cpu_backend().reduce(ReduceOp::sum, x.in(), y.view(), accumulate);
        // Runs of up to 32 terms lie in one lane, half an epsilon each; runs are added in f64. The
        // result is rounded to its dtype once more.
        const DType compute = dtype == DType::bf16 ? DType::f32 : dtype;
        for (int64_t i = 0; i < y.numel(); ++i) {
          const size_t at = static_cast<size_t>(i);
          const double expected = static_cast<double>(sum[at]);
          double tolerance = 16 * epsilon_of(compute) * static_cast<double>(size[at]);
          tolerance += epsilon_of(dtype) * std::abs(expected);
          ASSERT_TRUE(close(y.get(i), expected, tolerance)) << to_string(dtype);
        }
        ASSERT_TRUE(y.untouched_outside());
      }
    }
  });
}

TEST(Reduce, MaxAndMinOverEverySetOfAxes) {
  for_reductions([](const Shape& shape, const Shape& reduced, Layout in, Layout out) {
    for (DType dtype : {DType::f32, DType::f64, DType::bf16}) {
      for (ReduceOp op : {ReduceOp::max, ReduceOp::min}) {
        const double start = op == ReduceOp::max ? -kInf : kInf;
        HostArray x(dtype, shape, in), y(dtype, reduced, out);
        x.random(3);
        std::vector<double> expected(static_cast<size_t>(y.numel()), start);
        for (int64_t i = 0; i < x.numel(); ++i) {
          double& best = expected[static_cast<size_t>(reduced_number(shape, reduced, i))];
          best = op == ReduceOp::max ? std::max(best, x.get(i)) : std::min(best, x.get(i));
        }
        cpu_backend().reduce(op, x.in(), y.view());
        for (int64_t i = 0; i < y.numel(); ++i) {
          ASSERT_EQ(y.get(i), expected[static_cast<size_t>(i)]);
        }
      }
    }
  });
}

TEST(Reduce, NanWinsWhereverItStands) {
  for (int64_t n : {1, 5, 16, 17, 64, 100, 1000}) {
    for (int64_t at = 0; at < n; at += std::max<int64_t>(n / 7, 1)) {
      HostArray x(DType::f32, {n}), column(DType::f32, {n, 3}), y(DType::f32, {1});
      HostArray z(DType::f32, {1, 3});
      x.random(5).set(at, kNan);
      column.random(6).set(at * 3 + 1, kNan);
      for (ReduceOp op : {ReduceOp::max, ReduceOp::min, ReduceOp::sum}) {
        cpu_backend().reduce(op, x.in(), y.view());
        ASSERT_TRUE(std::isnan(y.get(0))) << n << " " << at;
        cpu_backend().reduce(op, column.in(), z.view());
        ASSERT_TRUE(std::isnan(z.get(1)));
        ASSERT_FALSE(std::isnan(z.get(0)) || std::isnan(z.get(2)));
      }
      HostArray best(DType::i64, {1});
      cpu_backend().argmax(x.in(), 0, best.view());
      ASSERT_EQ(best.get(0), static_cast<double>(at));
    }
  }
}

TEST(Reduce, NothingGivesTheNeutralElement) {
  HostArray x(DType::f32, {3, 0, 2}), y(DType::f32, {3, 1, 2}), full(DType::f32, {1, 1, 1});
  y.random(1);
  cpu_backend().reduce(ReduceOp::sum, x.in(), y.view());
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(y.get(i), 0);
  cpu_backend().reduce(ReduceOp::max, x.in(), y.view());
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(y.get(i), -kInf);
  cpu_backend().reduce(ReduceOp::min, x.in(), full.view());
  EXPECT_EQ(full.get(0), kInf);
}

TEST(Reduce, LongSumsKeepTheirDigits) {
  const int64_t n = 1 << 22;
  HostArray x(DType::f32, {n}), y(DType::f32, {1});
  float* p = x.view().as<float>();
  for (int64_t i = 0; i < n; ++i) p[i] = 0.1f;
  cpu_backend().reduce(ReduceOp::sum, x.in(), y.view());
  const double exact = static_cast<double>(0.1f) * static_cast<double>(n);
  EXPECT_TRUE(close(y.get(0), exact, 2 * epsilon_of(DType::f32) * exact));
}

TEST(Argmax, FirstLargestOnEveryAxis) {
  for (const Shape& shape :
       {Shape{1}, Shape{40}, Shape{5, 100}, Shape{3, 4, 33}, Shape{70, 1000}}) {
    for (int axis = 0; axis < shape.rank(); ++axis) {
      for (Layout in : kInputLayouts) {
        for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::i64}) {
          Shape reduced = shape;
          reduced[axis] = 1;
          HostArray x(dtype, shape, in), y(DType::i64, reduced, Layout::sliced);
          x.random(8, 0, 20).fill([&](int64_t i) { return std::floor(x.get(i)); });  // ties
          std::vector<double> best(static_cast<size_t>(numel(reduced)), -kInf), at(best.size());
          for (int64_t i = 0; i < x.numel(); ++i) {
            const size_t r = static_cast<size_t>(reduced_number(shape, reduced, i));
            int64_t coordinate = i;
            for (int k = shape.rank() - 1; k > axis; --k) coordinate /= shape[k];
            coordinate %= shape[axis];
            if (x.get(i) > best[r]) {
              best[r] = x.get(i);
              at[r] = static_cast<double>(coordinate);
            }
          }
          cpu_backend().argmax(x.in(), axis, y.view());
          for (int64_t i = 0; i < y.numel(); ++i) {
            ASSERT_EQ(y.get(i), at[static_cast<size_t>(i)])
                << to_string(shape) << " axis " << axis << " " << to_string(in);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace tessera
