#include <gtest/gtest.h>

#include "backends/cpu/cpu_backend.h"
#include "tests/backends/cpu/host_array.h"

namespace tessera {
namespace {

constexpr DType kAll[] = {DType::f32, DType::f64, DType::bf16, DType::f16,
                          DType::i64, DType::i32, DType::u8,   DType::boolean};

TEST(Copy, EveryPairOfDTypesAndLayouts) {
  for (const Shape& shape : test_shapes()) {
    for (Layout in : kInputLayouts) {
      for (Layout out : kOutputLayouts) {
        for (DType from : kAll) {
          for (DType to : kAll) {
            if (numel(shape) > 1000 && from != DType::f32 && to != DType::f32) continue;
            HostArray x(from, shape, in), y(to, shape, out);
            x.random(9, 0, 5);
            y.arm();
            cpu_backend().copy(x.in(), y.view());
            for (int64_t i = 0; i < y.numel(); ++i) {
              HostArray expected(to, {});
              expected.set(0, x.get(i));
              ASSERT_EQ(y.get(i), expected.get(0))
                  << to_string(shape) << " " << to_string(from) << " " << to_string(in) << " -> "
                  << to_string(to) << " " << to_string(out);
            }
            ASSERT_TRUE(y.untouched_outside());
          }
        }
      }
    }
  }
}

TEST(Copy, TruncatesTowardsZero) {
  HostArray x(DType::f32, {4}), y(DType::i64, {4});
  const double values[] = {-1.7, -0.2, 0.9, 2.9}, expected[] = {-1, 0, 0, 2};
  x.fill([&](int64_t i) { return values[i]; });
  cpu_backend().copy(x.in(), y.view());
  for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(y.get(i), expected[i]);
}

TEST(Copy, TransposesOfEveryKind) {
  for (const Shape& shape : {Shape{8, 8}, Shape{9, 23}, Shape{3, 17, 40}, Shape{2, 5, 16, 9},
                             Shape{100, 300}, Shape{1, 64}, Shape{5, 7, 2}}) {
    for (int a = 0; a < shape.rank(); ++a) {
      for (int b = a + 1; b < shape.rank(); ++b) {
        for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::u8}) {
          HostArray x(dtype, shape);
          x.random(4, 0, 100);
          ConstView turned = x.in();
          std::swap(turned.shape[a], turned.shape[b]);
          std::swap(turned.strides[a], turned.strides[b]);
          HostArray y(dtype, turned.shape);
          cpu_backend().copy(turned, y.view());
          for (int64_t i = 0; i < y.numel(); ++i) {
            int64_t rest = i, from = 0;
            for (int k = shape.rank() - 1; k >= 0; --k) {
              from += rest % turned.shape[k] * turned.strides[k];
              rest /= turned.shape[k];
            }
            ASSERT_EQ(y.get(i), x.get(from)) << to_string(shape) << a << b;
          }
          ASSERT_TRUE(y.untouched_outside());
        }
      }
    }
  }
}

/// Row-major number of x's element with coordinate `axis` of element i of `shape` replaced.
int64_t with_index(const Shape& shape, int64_t i, int axis, const Shape& to, int64_t index) {
  int64_t coordinate[kMaxRank];
  for (int k = shape.rank() - 1; k >= 0; --k) {
    coordinate[k] = i % shape[k];
    i /= shape[k];
  }
  coordinate[axis] = index;
  int64_t y = 0;
  for (int k = 0; k < to.rank(); ++k) y = y * to[k] + coordinate[k];
  return y;
}

int64_t coordinate_of(const Shape& shape, int64_t i, int axis) {
  for (int k = shape.rank() - 1; k > axis; --k) i /= shape[k];
  return i % shape[axis];
}

/// Calls f(x shape, axis, number of indices, layout).
template <class F>
void for_index_cases(F&& f) {
  for (const Shape& shape :
       {Shape{7}, Shape{5, 19}, Shape{3, 4, 6}, Shape{130, 64}, Shape{80, 3}, Shape{2, 90, 33}}) {
    for (int axis = 0; axis < shape.rank(); ++axis) {
      for (int64_t count : {int64_t{0}, int64_t{1}, int64_t{11}, int64_t{200}}) {
        for (Layout layout : kOutputLayouts) f(shape, axis, count, layout);
      }
    }
  }
}

TEST(Index, SelectAndAdd) {
  for_index_cases([](const Shape& shape, int axis, int64_t count, Layout layout) {
    for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::i64}) {
      Shape taken = shape;
      taken[axis] = count;
      HostArray x(dtype, shape, layout), y(dtype, taken, layout), index(DType::i64, {count});
      x.random(1, -8, 8);
      index.random(2, 0, static_cast<double>(shape[axis]));
      y.arm();
      cpu_backend().index_select(x.in(), index.in(), axis, y.view());
      for (int64_t i = 0; i < y.numel(); ++i) {
        const int64_t at = static_cast<int64_t>(index.get(coordinate_of(taken, i, axis)));
        ASSERT_EQ(y.get(i), x.get(with_index(taken, i, axis, shape, at)));
      }
      ASSERT_TRUE(y.untouched_outside());

      HostArray sum(dtype, shape, layout), source(dtype, taken);
      sum.random(3, -8, 8).fill([&](int64_t i) { return std::floor(sum.get(i)); });
      source.random(4, -2, 2).fill([&](int64_t i) { return std::floor(source.get(i)); });
      std::vector<double> expected;
      for (int64_t i = 0; i < sum.numel(); ++i) expected.push_back(sum.get(i));
      for (int64_t i = 0; i < source.numel(); ++i) {
        const int64_t at = static_cast<int64_t>(index.get(coordinate_of(taken, i, axis)));
        expected[static_cast<size_t>(with_index(taken, i, axis, shape, at))] += source.get(i);
      }
      sum.arm();
      cpu_backend().index_add(source.in(), index.in(), axis, sum.view());
      for (int64_t i = 0; i < sum.numel(); ++i) {
        // Small whole numbers: exact, as long as bf16 has the digits.
        if (dtype == DType::bf16 && std::abs(expected[static_cast<size_t>(i)]) > 100) continue;
        ASSERT_EQ(sum.get(i), expected[static_cast<size_t>(i)]) << to_string(dtype);
      }
      ASSERT_TRUE(sum.untouched_outside());
    }
  });
}

TEST(Index, GatherAndScatterAdd) {
  for_index_cases([](const Shape& shape, int axis, int64_t count, Layout layout) {
    for (DType dtype : {DType::f32, DType::f64, DType::i64}) {
      Shape taken = shape;
      taken[axis] = count;
      HostArray x(dtype, shape, layout), y(dtype, taken, layout), index(DType::i64, taken, layout);
      x.random(1, -8, 8);
      index.random(2, 0, static_cast<double>(shape[axis]));
      cpu_backend().gather(x.in(), index.in(), axis, y.view());
      for (int64_t i = 0; i < y.numel(); ++i) {
        const int64_t at = static_cast<int64_t>(index.get(i));
        ASSERT_EQ(y.get(i), x.get(with_index(taken, i, axis, shape, at)));
      }
      HostArray sum(dtype, shape, layout), source(dtype, taken);
      sum.fill([](int64_t) { return 1; });
      source.random(4, -2, 2).fill([&](int64_t i) { return std::floor(source.get(i)); });
      std::vector<double> expected(static_cast<size_t>(sum.numel()), 1.0);
      for (int64_t i = 0; i < source.numel(); ++i) {
        const int64_t at = static_cast<int64_t>(index.get(i));
        expected[static_cast<size_t>(with_index(taken, i, axis, shape, at))] += source.get(i);
      }
      sum.arm();
      cpu_backend().scatter_add(source.in(), index.in(), axis, sum.view());
      for (int64_t i = 0; i < sum.numel(); ++i) {
        ASSERT_EQ(sum.get(i), expected[static_cast<size_t>(i)]);
      }
      ASSERT_TRUE(sum.untouched_outside());
    }
  });
}

}  // namespace
}  // namespace tessera
