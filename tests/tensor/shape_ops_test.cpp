#include "tensor/ops/shape_ops.h"

#include <gtest/gtest.h>

#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace tessera {
namespace {

using testing::by_position;
using testing::element;
using testing::expect_equal;
using testing::expect_values;
using testing::layouts;
using testing::random;

bool shares(const Tensor& a, const Tensor& b) { return a.storage() == b.storage(); }

TEST(Reshape, KeepsTheOrderInEveryLayout) {
  const std::pair<Shape, Shape> cases[] = {
      {{6}, {2, 3}}, {{2, 3, 4}, {6, 4}}, {{2, 3, 4}, {2, 12}},      {{2, 3, 4}, {4, 3, 2}},
      {{1, 5}, {5}}, {{4, 1, 3}, {4, 3}}, {{2, 3}, {1, 2, 1, 3, 1}}, {{8, 6}, {2, 4, 3, 2}},
      {{}, {1, 1}},  {{0, 3}, {3, 0, 2}}};
  for (const auto& [from, to] : cases) {
    const Tensor x = random(from, 1);
    const std::vector<double> flat = x.to_vector<double>();
    for (const auto& [layout, view] : layouts(x)) {
      const Tensor y = reshape(view, to);
      EXPECT_EQ(y.shape(), to);
      EXPECT_EQ(y.to_vector<double>(), flat) << from.rank() << layout;
    }
  }
}

TEST(Reshape, IsAViewWhereStridesAllow) {
  const Tensor x = zeros({4, 6});
  EXPECT_TRUE(shares(reshape(x, {2, 2, 3, 2}), x));
  EXPECT_TRUE(shares(reshape(slice(x, 1, 0, 4), {2, 2, 2, 2}), x));
  EXPECT_TRUE(shares(reshape(transpose(x), {3, 2, 2, 2}), x));
  const Tensor repeated = expand(zeros({1}), {8});
  EXPECT_TRUE(shares(reshape(repeated, {2, 4}), repeated));
  EXPECT_FALSE(shares(reshape(transpose(x), {24}), x));
  EXPECT_TRUE(reshape(x, {4, 6}).is(x));
}

TEST(Reshape, InfersOneSize) {
  EXPECT_EQ(reshape(zeros({4, 6}), {-1, 8}).shape(), (Shape{3, 8}));
  EXPECT_EQ(reshape(zeros({0, 6}), {-1, 3}).shape(), (Shape{0, 3}));
  EXPECT_ERROR(reshape(zeros({4, 6}), {-1, 5}), ShapeError,
               "reshape: x (4, 6) has 24 elements, which do not divide into (-1, 5)");
  EXPECT_ERROR(reshape(zeros({4, 6}), {-1, -1}), ShapeError,
               "reshape: (-1, -1) leaves two sizes open; at most one may be -1");
  EXPECT_ERROR(reshape(zeros({4, 6}), {5, 5}), ShapeError,
               "reshape: x (4, 6) has 24 elements, but (5, 5) has 25");
  EXPECT_ERROR(reshape(zeros({4}), {-4}), ShapeError, "reshape: (-4) has a negative size");
}

TEST(Permute, MovesAxes) {
  const Tensor x = random({2, 3, 4}, 1), y = permute(x, {2, 0, -2});
  EXPECT_TRUE(shares(x, y));
  expect_equal(y, by_position({4, 2, 3}, [&](const auto& at) {
                 return element(x, {at[1], at[2], at[0]});
               }));
  expect_equal(transpose(x, 0, 2), permute(x, {2, 1, 0}));
  EXPECT_ERROR(permute(x, {0, 1, 1}), ShapeError,
               "permute: axes (0, 1, 1) must name each axis of x (2, 3, 4) once");
  EXPECT_ERROR(permute(x, {0, 1}), ShapeError,
               "permute: axes (0, 1) must name each axis of x (2, 3, 4) once");
  EXPECT_EQ(permute(scalar(1), {}).rank(), 0);
}

TEST(Expand, RepeatsWithoutCopies) {
  const Tensor x = reshape(from_values({1, 2}), {2, 1});
  const Tensor y = expand(x, {3, 2, 2});
  EXPECT_TRUE(shares(x, y));
  expect_values(y, {3, 2, 2}, {1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2});
  EXPECT_EQ(expand(x, {2, 0}).numel(), 0);
  EXPECT_ERROR(expand(x, {3, 1}), ShapeError,
               "expand: x (2, 1) does not broadcast to (3, 1): axis -2 has sizes 2 and 3");
  EXPECT_ERROR(expand(x, {2}), ShapeError, "expand: x (2, 1) has more axes than (2)");
  EXPECT_ERROR(expand(scalar(1), {int64_t{1} << 40, int64_t{1} << 40}), ShapeError,
               "expand: (1099511627776, 1099511627776) has a negative size, or more elements than "
               "fit into 63 bits");
}

TEST(Slice, CutsAndSteps) {
  const Tensor x = arange(10);
  expect_values(slice(x, 0, 2, 9, 3), {3}, {2, 5, 8});
  expect_values(slice(x, 0, -3, 10), {3}, {7, 8, 9});
  expect_values(slice(x, 0, 2, -6), {2}, {2, 3});
  EXPECT_EQ(slice(x, 0, 10, 10).numel(), 0);
  EXPECT_TRUE(slice(x, 0, 0, 10).is(x));
  expect_values(slice(reshape(x, {2, 5}), -1, 1, 5, 2), {2, 2}, {1, 3, 6, 8});
  EXPECT_ERROR(slice(x, 0, 3, 11), IndexError,
               "slice: 3 to 11 lies outside axis 0 of x (10), or ends before it begins");
  EXPECT_ERROR(slice(x, 0, 5, 3), IndexError,
               "slice: 5 to 3 lies outside axis 0 of x (10), or ends before it begins");
  EXPECT_ERROR(slice(x, 0, 0, 3, 0), ValueError, "slice: step is 0, but must be at least 1");
}

TEST(Unslice, IsTheTransposeOfSlice) {
  const Slice s(1, 1, 5, 2, Shape{2, 5});
  const Tensor x = reshape(from_values({1, 2, 3, 4}), {2, 2});
  expect_values(unslice(x, s), {2, 5}, {0, 1, 0, 2, 0, 0, 3, 0, 4, 0});
  expect_equal(slice(unslice(x, s), 1, 1, 5, 2), x);
  EXPECT_ERROR(unslice(zeros({2, 3}), s), ShapeError,
               "unslice: x is (2, 3), but the slice of (2, 5) is (2, 2)");
}

TEST(Select, DropsAnAxis) {
  const Tensor x = reshape(arange(6), {2, 3});
  expect_values(select(x, 0, -1), {3}, {3, 4, 5});
  expect_values(select(transpose(x), 0, 1), {2}, {1, 4});
  EXPECT_TRUE(shares(select(x, 1, 2), x));
  EXPECT_ERROR(select(x, 1, 3), IndexError, "select: index 3 lies outside axis 1 of x (2, 3)");
}

TEST(Squeeze, AndBack) {
  const Tensor x = zeros({2, 1, 3});
  EXPECT_EQ(squeeze(x, 1).shape(), (Shape{2, 3}));
  EXPECT_EQ(unsqueeze(x, -1).shape(), (Shape{2, 1, 3, 1}));
  EXPECT_EQ(unsqueeze(scalar(1), 0).shape(), (Shape{1}));
  EXPECT_TRUE(shares(unsqueeze(transpose(x), 1), x));
  EXPECT_ERROR(squeeze(x, 0), ShapeError,
               "squeeze: axis 0 of x (2, 1, 3) has size 2, but must have 1");
}

TEST(Concat, JoinsEveryLayout) {
  const Tensor x = random({2, 3, 4}, 1), y = random({2, 5, 4}, 2),
               none = zeros({2, 0, 4}, {DType::f64});
  for (const auto& [lx, vx] : layouts(x)) {
    for (const auto& [ly, vy] : layouts(y)) {
      const Tensor z = concat({vx, none, vy}, -2);
      EXPECT_EQ(z.shape(), (Shape{2, 8, 4}));
      expect_equal(slice(z, 1, 0, 3), x, lx);
      expect_equal(slice(z, 1, 3, 8), y, ly);
    }
  }
  EXPECT_ERROR(concat({x, random({2, 5, 3}, 1)}, 1), ShapeError,
               "concat: part 1 is (2, 5, 3), but part 0 is (2, 3, 4): they may differ on axis 1 "
               "alone");
  EXPECT_ERROR(concat({x, zeros({2, 3, 4})}, 1), DTypeError,
               "concat: the first part is f64, but another is f32; convert one with .to(dtype)");
  EXPECT_ERROR(concat({}), ShapeError, "concat: no tensors");
}

TEST(Stack, AddsAnAxis) {
  const Tensors parts{from_values({1, 2}), from_values({3, 4})};
  expect_values(stack(parts), {2, 2}, {1, 2, 3, 4});
  expect_values(stack(parts, -1), {2, 2}, {1, 3, 2, 4});
  EXPECT_ERROR(stack(Tensors{zeros({2}), zeros({3})}), ShapeError,
               "stack: part 1 is (3), but part 0 is (2)");
}

TEST(Split, UndoesConcat) {
  const Tensor x = random({2, 8}, 1);
  const int64_t sizes[] = {3, 0, 5};
  const Tensors parts = split(x, sizes, 1);
  ASSERT_EQ(parts.size(), 3u);
  expect_equal(concat(parts, 1), x);
  const int64_t wrong[] = {3, 4};
  EXPECT_ERROR(split(x, wrong, 1), ShapeError,
               "split: the pieces add up to 7, but axis 1 of x (2, 8) has size 8");
}

}  // namespace
}  // namespace tessera
