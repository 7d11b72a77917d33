#include "tensor/ops/index.h"

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

Tensor indices(std::vector<int64_t> values, const Shape& shape) { return from_data(values, shape); }

TEST(IndexSelect, TakesSlicesOfEveryLayout) {
  const std::vector<int64_t> at{2, 0, 2, 1};
  const Tensor index = indices(at, {4});
  for (DType dtype : {DType::f64, DType::f32, DType::bf16, DType::i64, DType::boolean}) {
    const Tensor x = random({3, 3, 5}, 1).to(dtype);
    for (int axis : {0, 1}) {
      Shape shape = x.shape();
      shape[axis] = 4;
      const Tensor expected = by_position(shape, [&](auto p) {
        auto& i = p[static_cast<size_t>(axis)];
        i = at[static_cast<size_t>(i)];
        return element(x, p);
      });
      for (const auto& [layout, view] : layouts(x)) {
        expect_close(index_select(view, index, axis), expected, 0, layout);
      }
    }
  }
  EXPECT_EQ(index_select(zeros({3, 2}), indices({}, {0})).shape(), (Shape{0, 2}));
}

TEST(IndexSum, IsTheTransposeOfIndexSelect) {
  const Tensor index = indices({2, 0, 2, 1}, {4});
  for (int axis : {0, 1}) {
    const Shape from{3, 3, 2};
    Shape picked = from;
    picked[axis] = 4;
    const Tensor x = random(picked, 1), w = random(from, 2);
    for (const auto& [layout, view] : layouts(x)) {
      const Tensor y = index_sum(view, index, from, axis);
      EXPECT_EQ(y.shape(), from);
      // <S x, w> = <x, S^T w>
      expect_close(sum(y * w), sum(x * index_select(w, index, axis)), 1e-13, layout);
    }
  }
  EXPECT_ERROR(index_sum(zeros({3, 2}), index, {5, 2}), ShapeError,
               "index_sum: x is (3, 2), but 4 indices on axis 0 of (5, 2) need (4, 2)");
}

TEST(Gather, TakesElements) {
  const Tensor x = random({3, 4}, 1);
  const Tensor index = indices({3, 0, 1, 1, 2, 2}, {3, 2});
  const Tensor expected = by_position({3, 2}, [&](auto p) {
    return element(x, {p[0], static_cast<int64_t>(element(index, p))});
  });
  for (const auto& [layout, view] : layouts(x)) {
    for (const auto& [index_layout, at] : layouts(index)) {
      expect_close(gather(view, at, 1), expected, 0, layout + index_layout);
    }
  }
  const Tensor g = random({3, 2}, 2);
  expect_close(sum(scatter_sum(g, index, {3, 4}, 1) * x), sum(g * gather(x, index, 1)), 1e-14);
  expect_values(scatter_sum(ones({3, 2}), index, {3, 4}, 1), {3, 4},
                {1, 0, 0, 1, 0, 2, 0, 0, 0, 0, 2, 0});
  EXPECT_ERROR(gather(x, indices({0, 0}, {2, 1}), 1), ShapeError,
               "gather: index is (2, 1), but must have the sizes of (3, 4) except on axis 1");
  EXPECT_ERROR(scatter_sum(zeros({3, 1}), index, {3, 4}, 1), ShapeError,
               "scatter_sum: x is (3, 1), but index is (3, 2)");
}

TEST(Embedding, LooksUpRows) {
  const Tensor w = random({5, 3}, 1, DType::f32);
  const Tensor index = indices({4, 0, 1, 4}, {2, 2});
  const Tensor y = embedding(w, index);
  EXPECT_EQ(y.shape(), (Shape{2, 2, 3}));
  expect_equal(select(select(y, 0, 1), 0, 1), select(w, 0, 4));
  EXPECT_EQ(embedding(w, scalar(2, {.dtype = DType::i64})).shape(), (Shape{3}));
  EXPECT_ERROR(embedding(w, indices({0, 1, 5, -1}, {2, 2})), IndexError,
               "embedding: index at (1, 0) is 5, but axis 0 of (5, 3) has size 5");
}

TEST(Index, ErrorsNameTheFirstBadOne) {
  const Tensor x = zeros({5, 4});
  EXPECT_ERROR(index_select(x, indices({0, 4, -1, 7}, {4})), IndexError,
               "index_select: index at 2 is -1, but axis 0 of (5, 4) has size 5");
  EXPECT_ERROR(index_select(x, zeros({2})), DTypeError,
               "index_select: index is f32, but must be i64; convert it with .to(DType::i64)");
  EXPECT_ERROR(index_select(x, indices({0}, {1, 1})), ShapeError,
               "index_select: index is (1, 1), but must be (n)");
  EXPECT_ERROR(one_hot(indices({0, 3}, {2}), 3), IndexError,
               "one_hot: index at 1 is 3, but axis 1 of (2, 3) has size 3");
}

TEST(OneHot, SetsOne) {
  expect_values(one_hot(indices({2, 0}, {2}), 3), {2, 3}, {0, 0, 1, 1, 0, 0});
  EXPECT_EQ(one_hot(indices({2, 0}, {1, 2}), 3, {.dtype = DType::boolean}).dtype(), DType::boolean);
}

TEST(IndexAdd, AddsInPlace) {
  const Tensor y = ones({3, 2});
  index_add_(y, indices({1, 1}, {2}), reshape(from_values({1, 2, 3, 4}), {2, 2}));
  expect_values(y, {3, 2}, {1, 1, 5, 7, 1, 1});
  EXPECT_ERROR(index_add_(y, indices({0}, {1}), zeros({2, 2})), ShapeError,
               "index_add_: x is (2, 2), but 1 indices into y (3, 2) need (1, 2)");
}

}  // namespace
}  // namespace tessera
