#include "tensor/ops/reduce.h"

#include <gtest/gtest.h>

#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace tessera {
namespace {

using testing::by_position;
using testing::element;
using testing::expect_close;
using testing::expect_equal;
using testing::expect_values;
using testing::layouts;
using testing::positions;
using testing::random;
using testing::tolerance;

/// Folds f over the reduced axes, which stay with size 1.
Tensor fold(const Tensor& x, const Axes& axes, double start, double (*f)(double, double)) {
  Shape kept = x.shape();
  for (int64_t axis : axes) kept[static_cast<int>(axis)] = 1;
  return by_position(kept, [&](const auto& at) {
    double y = start;
    for (const auto& p : positions(x.shape())) {
      bool here = true;
      for (int i = 0; i < x.rank(); ++i) {
        const auto k = static_cast<size_t>(i);
        here = here && (kept[i] == 1 || p[k] == at[k]);
      }
      if (here) y = f(y, element(x, p));
    }
    return y;
  });
}

TEST(Reduce, EqualsLoopsInEveryLayout) {
  const std::pair<Shape, Axes> cases[] = {
      {{7}, {0}},       {{3, 5}, {0}},       {{3, 5}, {1}},    {{3, 5}, {0, 1}},
      {{2, 3, 4}, {1}}, {{2, 3, 4}, {0, 2}}, {{2, 1, 4}, {1}}, {{5, 33}, {1}},
      {{33, 5}, {0}},   {{0, 3}, {0}},       {{3, 0}, {0}},    {{2, 3, 2, 3}, {1, 3}}};
  for (const auto& [shape, axes] : cases) {
    for (DType dtype : {DType::f64, DType::f32, DType::bf16}) {
      const Tensor x = random(shape, 5, dtype);
      const int64_t n = std::max<int64_t>(1, x.numel());
      const Tensor total = fold(x, axes, 0, [](double a, double b) { return a + b; });
      const Tensor most =
          fold(x, axes, -INFINITY, [](double a, double b) { return std::max(a, b); });
      const Tensor least =
          fold(x, axes, INFINITY, [](double a, double b) { return std::min(a, b); });
      for (const auto& [layout, view] : layouts(x)) {
        const std::string what = format("{} over {}, {}, {}", shape, axes, layout, dtype);
        expect_close(sum(view, axes, KeepDims::yes), total, tolerance(dtype, n, 10), what);
        expect_close(max(view, axes, KeepDims::yes), most, 0, what);
        expect_close(min(view, axes, KeepDims::yes), least, 0, what);
        expect_close(sum(view, axes), reshape(total, sum(view, axes).shape()),
                     tolerance(dtype, n, 10), what);
      }
    }
  }
}

TEST(Reduce, NegativeAxesAllAxesAndScalars) {
  const Tensor x = reshape(arange(6, {.dtype = DType::f64}), {2, 3});
  expect_values(sum(x), {}, {15});
  expect_values(sum(x, {-1}), {2}, {3, 12});
  expect_values(mean(x, {0}), {3}, {1.5, 2.5, 3.5});
  expect_values(mean(x, {-1, 0}, KeepDims::yes), {1, 1}, {2.5});
  expect_values(sum(scalar(4)), {}, {4});
  expect_values(max(scalar(4)), {}, {4});
  expect_values(sum(arange(5)), {}, {10});
  expect_values(max(arange(5), {0}), {}, {4});
  EXPECT_ERROR(sum(x, {2}), ShapeError, "sum: axis 2 is outside a tensor of rank 2");
  EXPECT_ERROR(sum(x, {0, -2}), ShapeError, "sum: axes (0, -2) name one axis twice");
}

TEST(Reduce, OfNothing) {
  const Tensor x = zeros({0, 2});
  expect_values(sum(x, {0}), {2}, {0, 0});
  expect_values(mean(x, {0}), {2}, {NAN, NAN});
  expect_values(max(x, {0}), {2}, {-INFINITY, -INFINITY});
  expect_values(min(x, {0}), {2}, {INFINITY, INFINITY});
  EXPECT_EQ(sum(x, {1}).numel(), 0);
  EXPECT_ERROR(max(arange(0)), ShapeError,
               "max: axes (0) of x (0) hold no element, and i64 has no infinity");
}

TEST(Reduce, PassesNan) {
  const Tensor x = from_values({1, NAN, 2});
  expect_values(max(x), {}, {NAN});
  expect_values(min(x), {}, {NAN});
  expect_values(sum(x), {}, {NAN});
  EXPECT_ERROR(sum(x.to(DType::boolean)), DTypeError,
               "sum: x is bool, but must be floating; convert it with .to(DType::f32)");
}

TEST(Var, IsBiased) {
  expect_values(var(from_values({1, 2, 3, 6})), {}, {3.5}, 1e-6);
  const Tensor x = random({4, 9}, 1);
  const Tensor centred = x - mean(x, {1}, KeepDims::yes);
  expect_close(var(x, {1}), mean(centred * centred, {1}), 1e-15);
}

TEST(LogSumExp, IsStableAndExactAtInfinities) {
  const Tensor x = random({3, 40}, 2);
  expect_close(logsumexp(x, {1}), log(sum(exp(x), {1})), tolerance(DType::f64, 40));
  expect_close(logsumexp(x + 1000, {1}, KeepDims::yes), logsumexp(x, {1}, KeepDims::yes) + 1000,
               1e-12);
  expect_values(logsumexp(from_values({-INFINITY, -INFINITY})), {}, {-INFINITY});
  expect_values(logsumexp(from_values({-INFINITY, 1})), {}, {1});
  expect_values(logsumexp(from_values({INFINITY, 1})), {}, {INFINITY});
  EXPECT_EQ(logsumexp(random({4}, 1, DType::bf16)).dtype(), DType::bf16);
}

TEST(ArgMax, IsTheFirstLargest) {
  const Tensor x = reshape(from_values({1, 3, 3, 2, 2, 2}), {2, 3});
  expect_equal(argmax(x, 1), from_data(std::vector<int64_t>{1, 0}, {2}));
  expect_equal(argmax(x, 0, KeepDims::yes), from_data(std::vector<int64_t>{1, 0, 0}, {1, 3}));
  expect_equal(argmax(transpose(x), 0), argmax(x, 1));
  expect_equal(argmax(from_values({1, NAN, 5}), 0), scalar(1, {.dtype = DType::i64}));
  EXPECT_ERROR(argmax(zeros({2, 0}), 1), ShapeError, "argmax: axis 1 of x (2, 0) is empty");
}

TEST(SumTo, IsTheTransposeOfBroadcasting) {
  const Shape wide{4, 2, 3, 5};
  const Tensor x = random(wide, 7);
  for (const Shape& shape : {Shape{}, Shape{5}, Shape{1}, Shape{3, 1}, Shape{2, 3, 5},
                             Shape{2, 1, 5}, Shape{1, 2, 1, 1}, wide}) {
    const Tensor y = sum_to(x, shape);
    Axes axes;
    for (int i = 0; i < 4; ++i) {
      const int j = i - (4 - shape.rank());
      if (j < 0 || (shape[j] == 1 && wide[i] != 1)) axes.push_back(i);
    }
    const Tensor expected = axes.empty() ? x : reshape(sum(x, axes), shape);
    expect_close(y, expected, 1e-12, to_string(shape));
  }
  EXPECT_ERROR(sum_to(x, {2}), ShapeError,
               "sum_to: shapes (4, 2, 3, 5) and (2) do not broadcast: axis -1 has sizes 5 and 2");
}

}  // namespace
}  // namespace tessera
