#include "tensor/ops/matmul.h"

#include <gtest/gtest.h>

#include "tensor/base/parallel.h"
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
using testing::random;
using testing::Recorder;
using testing::tolerance;
using testing::watched;

/// Loops over the last two axes, batches broadcast.
Tensor reference(const Tensor& a, const Tensor& b) {
  const int64_t inner = a.size(-1);
  Shape ba = a.shape(), bb = b.shape();
  const int64_t rows = a.size(-2), cols = b.size(-1);
  ba.erase(ba.rank() - 1), ba.erase(ba.rank() - 1);
  bb.erase(bb.rank() - 1), bb.erase(bb.rank() - 1);
  Shape shape = broadcast_shapes("test", ba, bb);
  shape.push_back(rows);
  shape.push_back(cols);
  return by_position(shape, [&](const std::vector<int64_t>& at) {
    double total = 0;
    std::vector<int64_t> pa = at, pb = at;
    for (int64_t k = 0; k < inner; ++k) {
      pa[pa.size() - 1] = k;
      pb[pb.size() - 2] = k;
      total += element(a, pa) * element(b, pb);
    }
    return total;
  });
}

TEST(MatMul, EqualsLoopsForEveryLayoutAndTranspose) {
  const std::pair<Shape, Shape> shapes[] = {
      {{1, 1}, {1, 1}},    {{3, 4}, {4, 5}},    {{7, 1}, {1, 6}},       {{1, 9}, {9, 1}},
      {{2, 3, 4}, {4, 5}}, {{3, 4}, {2, 4, 5}}, {{2, 3, 4}, {2, 4, 5}}, {{2, 1, 3, 4}, {3, 4, 2}},
      {{0, 4}, {4, 3}},    {{3, 0}, {0, 4}},    {{33, 17}, {17, 65}},   {{0, 3, 4}, {4, 2}}};
  for (const auto& [sa, sb] : shapes) {
    for (DType dtype : {DType::f64, DType::f32, DType::bf16}) {
      const Tensor a = random(sa, 1, dtype), b = random(sb, 2, dtype);
      const Tensor expected = reference(a, b);
      const double bound =
          tolerance(dtype, std::max<int64_t>(1, sa.back()), dtype == DType::bf16 ? 8 : 4);
      for (const auto& [la, va] : layouts(a)) {
        for (const auto& [lb, vb] : layouts(b)) {
          const std::string what = format("{} {} by {} {}, {}", sa, la, sb, lb, dtype);
          expect_close(matmul(va, vb), expected, bound, what);
          expect_close(matmul(transpose(va), vb, {.transpose_a = true}), expected, bound, what);
          expect_close(matmul(va, transpose(vb), {.transpose_b = true}), expected, bound, what);
          expect_close(
              matmul(transpose(va), transpose(vb), {.transpose_a = true, .transpose_b = true}),
              expected, bound, what);
        }
      }
    }
  }
}

TEST(MatMul, OfExpandedTensors) {
  const Tensor a = expand(random({1, 4}, 1), {3, 4}), b = expand(random({4, 1}, 2), {2, 4, 5});
  expect_close(matmul(a, b), reference(a, b), tolerance(DType::f64, 4));
}

TEST(MatMul, RefusesWhatDoesNotFit) {
  EXPECT_ERROR(matmul(zeros({32, 768}), zeros({512, 768})), ShapeError,
               "matmul: inner sizes differ: a is (32, 768), b is (512, 768); pass transpose_b for "
               "a times b transposed");
  EXPECT_ERROR(matmul(zeros({2, 3}), zeros({3, 4}), {.transpose_b = true}), ShapeError,
               "matmul: inner sizes differ: a is (2, 3), b is (3, 4) (transposed); leave "
               "transpose_b out for a times b as it is");
  EXPECT_ERROR(matmul(zeros({2, 3}), zeros({5, 7})), ShapeError,
               "matmul: inner sizes differ: a is (2, 3), b is (5, 7)");
  EXPECT_ERROR(matmul(zeros({3}), zeros({3, 4})), ShapeError,
               "matmul: a is (3), but must have two axes; insert one with unsqueeze");
  EXPECT_ERROR(matmul(zeros({2, 2, 3}), zeros({3, 3, 4})), ShapeError,
               "matmul: shapes (2) and (3) do not broadcast: axis -1 has sizes 2 and 3");
  EXPECT_ERROR(matmul(arange(4), arange(4)), DTypeError,
               "matmul: a is i64, but must be floating; convert it with .to(DType::f32)");
}

TEST(Linear, EqualsItsFormula) {
  const Tensor w = random({5, 4}, 2), b = random({5}, 3);
  for (const Shape& shape : {Shape{4}, Shape{3, 4}, Shape{2, 3, 4}, Shape{0, 4}, Shape{2, 0, 4}}) {
    const Tensor x = random(shape, 1);
    Shape out = shape;
    out[out.rank() - 1] = 5;
    const Tensor expected = reshape(matmul(reshape(x, {x.numel() / 4, 4}), transpose(w)) + b, out);
    for (const auto& [layout, view] : layouts(x)) {
      expect_close(linear(view, w, b), expected, 1e-14, layout);
      expect_close(linear(view, transpose(transpose(w).contiguous()), b), expected, 1e-14, layout);
    }
  }
  EXPECT_ERROR(linear(zeros({2, 3}), zeros({5, 4})), ShapeError,
               "linear: weight (5, 4) takes 4 columns, but the last axis of x (2, 3) is 3");
  EXPECT_ERROR(linear(zeros({2, 4}), zeros({5, 4}), zeros({4})), ShapeError,
               "linear: bias is (4), but weight (5, 4) gives 5 columns");
  EXPECT_ERROR(linear(zeros({2, 4}), w), DTypeError,
               "linear: weight is f64, but beside x of f32 it must be f32; convert it with "
               ".to(DType::f32)");
}

TEST(Linear, TakesBf16WithF32Parameters) {
  const Tensor x = random({6, 8}, 1, DType::bf16), w = random({3, 8}, 2, DType::f32);
  const Tensor y = linear(x, w);
  EXPECT_EQ(y.dtype(), DType::bf16);
  expect_equal(y, linear(x.to(DType::f32), w).to(DType::bf16));
}

struct Grouped {
  RowGroups groups{{3, 3, 10}};  // the second range is empty
  Tensor x;
  Tensors w, b;
  explicit Grouped(DType dtype) : x(random({10, 6}, 1, dtype)) {
    for (uint64_t i = 0; i < 3; ++i) {
      w.push_back(random({4, 6}, 10 + i, dtype));
      b.push_back(i == 1 ? Tensor() : random({4}, 20 + i, dtype));
    }
  }
};

TEST(GroupedLinear, EqualsItsComposition) {
  for (DType dtype : {DType::f64, DType::f32}) {
    const Grouped g(dtype);
    const Tensor expected = composed::grouped_linear(g.x, g.groups, g.w, g.b);
    for (const auto& [layout, view] : layouts(g.x)) {
      expect_close(grouped_linear(view, g.groups, g.w, g.b), expected, tolerance(dtype, 6, 4),
                   layout);
    }
    expect_close(grouped_linear(g.x, g.groups, g.w, {}),
                 composed::grouped_linear(g.x, g.groups, g.w, {}), tolerance(dtype, 6, 4));
  }
}

TEST(GroupedLinear, RecordsInputsInOrder) {
  const Grouped g(DType::f32);
  const auto recorder = std::make_shared<Recorder>();
  const Tensor x = watched(g.x, recorder);
  (void)grouped_linear(x, g.groups, g.w, g.b);
  ASSERT_EQ(recorder->records.size(), 1u);
  const Tensors& inputs = recorder->records[0].inputs;
  ASSERT_EQ(inputs.size(), 7u);
  EXPECT_TRUE(inputs[0].is(x));
  EXPECT_TRUE(inputs[2].is(g.w[1]));
  EXPECT_TRUE(inputs[4].is(g.b[0]));
  EXPECT_FALSE(inputs[5].defined());
}

TEST(GroupedLinear, RefusesWhatDoesNotFit) {
  Grouped g(DType::f32);
  EXPECT_ERROR(grouped_linear(g.x, {{3, 10}}, g.w, g.b), ShapeError,
               "grouped_linear: 2 ranges of rows, but 3 sets of parameters");
  EXPECT_ERROR(grouped_linear(g.x, {{3, 2, 10}}, g.w, g.b), ShapeError,
               "grouped_linear: range 1 of rows goes from 3 to 2; ends must not descend");
  EXPECT_ERROR(grouped_linear(g.x, {{3, 4, 9}}, g.w, g.b), ShapeError,
               "grouped_linear: the ranges end at row 9, but x has 10 rows");
  g.w[2] = zeros({5, 6});
  g.b.clear();
  EXPECT_ERROR(grouped_linear(g.x, g.groups, g.w, g.b), ShapeError,
               "grouped_linear: weight (5, 6) gives 5 columns, but the first gives 4");
}

TEST(GroupedLinear, BackwardGivesFreshGradientsAndFillsSinks) {
  for (DType dtype : {DType::f64, DType::f32}) {
    const Grouped c(dtype);
    const Tensor g = random({10, 4}, 5, dtype);
    const double bound = tolerance(dtype, 10, 8);
    using kernels::Sink;
    std::vector<Sink> dw(3, Sink{.into = {}, .accumulate = false, .wanted = true}), db = dw;
    const auto fresh = kernels::grouped_linear_backward(g, c.x, c.groups, c.w, true, dw, db);
    Tensors dx;
    for (size_t i = 0; i < 3; ++i) {
      const Tensor gi = slice(g, 0, c.groups.begin(i), c.groups.end(i));
      const Tensor xi = slice(c.x, 0, c.groups.begin(i), c.groups.end(i));
      dx.push_back(matmul(gi, c.w[i]));
      expect_close(fresh.dw[i], matmul(gi, xi, {.transpose_a = true}), bound);
      expect_close(fresh.db[i], sum(gi, {0}), bound);
    }
    expect_close(fresh.dx, concat(dx), bound);

    for (bool accumulate : {false, true}) {
      for (size_t i = 0; i < 3; ++i) {
        dw[i] = {.into = ones({4, 6}, {.dtype = dtype}), .accumulate = accumulate, .wanted = true};
        db[i] = {.into = ones({4}, {.dtype = dtype}), .accumulate = accumulate, .wanted = true};
      }
      const auto sunk = kernels::grouped_linear_backward(g, c.x, c.groups, c.w, false, dw, db);
      EXPECT_FALSE(sunk.dx.defined());
      for (size_t i = 0; i < 3; ++i) {
        EXPECT_FALSE(sunk.dw[i].defined());
        EXPECT_FALSE(sunk.db[i].defined());
        expect_close(dw[i].into, fresh.dw[i] + (accumulate ? 1.0 : 0.0), bound);
        expect_close(db[i].into, fresh.db[i] + (accumulate ? 1.0 : 0.0), bound);
        EXPECT_EQ(dw[i].into.storage()->version(), 1u);
      }
    }
  }
}

TEST(MatMul, SameBitsForAnyNumberOfThreads) {
  const Tensor a = random({3, 130, 257}, 1, DType::f32), b = random({257, 190}, 2, DType::f32);
  const Tensor w = random({257, 3, 41}, 3, DType::f32);
  const int before = thread_count();
  std::vector<std::vector<float>> results;
  for (int threads : {1, 2, 3, 4}) {
    set_thread_count(threads);
    std::vector<float> all = matmul(a, b).to_vector<float>();
    for (const Tensor& y : {sum(a, {0, 2}), softmax(a), gelu(w), sum(w, {0}),
                            layer_norm(a, ones({257}), zeros({257}))}) {
      const auto values = y.to_vector<float>();
      all.insert(all.end(), values.begin(), values.end());
    }
    results.push_back(std::move(all));
  }
  set_thread_count(before);
  for (const auto& r : results) EXPECT_EQ(r, results[0]);
}

}  // namespace
}  // namespace tessera
