#include "tensor/ops/matmul.h"

#include "autograd/autograd.h"
#include "tensor/ops/shape_ops.h"
#include "tests/ops/all_cases.h"
#include "tests/testing/op_test.h"
#include "tests/testing/tensors.h"

namespace tessera::testing {
namespace {

using At = std::vector<int64_t>;

Tensor naive_matmul(const Tensor& a, const Tensor& b) {
  const int ra = a.rank(), rb = b.rank();
  Shape shape =
      broadcast_shapes("test", Shape(std::span(a.shape().data(), static_cast<size_t>(ra - 2))),
                       Shape(std::span(b.shape().data(), static_cast<size_t>(rb - 2))));
  shape.push_back(a.size(-2));
  shape.push_back(b.size(-1));
  return by_position(shape, [&](const At& at) {
    At left = at, right = at;
    double y = 0;
    for (int64_t k = 0; k < a.size(-1); ++k) {
      left.back() = k;
      right[right.size() - 2] = k;
      y += element(a, left) * element(b, right);
    }
    return y;
  });
}

OpCase product(const char* name, const Shape& a, const Shape& b, MatMulOptions options = {}) {
  auto turned = [](const Tensor& x, bool turn) { return turn ? transpose(x) : x; };
  Shape no_rows = a;
  no_rows[a.rank() - (options.transpose_a ? 1 : 2)] = 0;
  return {.name = name,
          .inputs = {random(a, 31), random(b, 32)},
          .run = [=](const Tensors& in) { return matmul(in[0], in[1], options); },
          .expected =
              [=](const Tensors& in) {
                return naive_matmul(turned(in[0], options.transpose_a),
                                    turned(in[1], options.transpose_b));
              },
          .empty = {zeros(no_rows, {DType::f64}), random(b, 32)},
          .length = 20};
}

OpCase grouped(const char* name, std::vector<int64_t> ends, bool bias) {
  const RowGroups groups{std::move(ends)};
  const size_t n = groups.size();
  OpCase c{.name = name, .inputs = {random({groups.rows(), 4}, 33)}};
  for (size_t i = 0; i < n; ++i) c.inputs.push_back(random({3, 4}, 34 + i));
  for (size_t i = 0; i < n; ++i) c.inputs.push_back(bias ? random({3}, 50 + i) : Tensor());
  c.run = [=](const Tensors& in) {
    const auto all = std::span(in).subspan(1);
    return grouped_linear(in[0], groups, all.first(n), all.last(n));
  };
  c.expected = [=](const Tensors& in) {
    const auto all = std::span(in).subspan(1);
    return composed::grouped_linear(in[0], groups, all.first(n), all.last(n));
  };
  c.composed = true;
  c.length = 20;
  return c;
}

}  // namespace

std::vector<OpCase> matmul_cases() {
  OpCase no_columns = product("no_inner_axis", {2, 3}, {3, 3});
  no_columns.empty = {zeros({2, 0}, {DType::f64}), zeros({0, 3}, {DType::f64})};
  OpCase linear_case = grouped("linear", {6}, true);
  linear_case.inputs[0] = random({2, 3, 4}, 40);
  linear_case.run = [](const Tensors& in) { return linear(in[0], in[1], in[2]); };
  linear_case.expected = [](const Tensors& in) {
    return matmul(in[0], in[1], {.transpose_b = true}) + in[2];
  };
  linear_case.empty = {zeros({0, 4}, {DType::f64}), zeros({3, 4}, {DType::f64}),
                       zeros({3}, {DType::f64})};
  return {
      product("plain", {2, 3}, {3, 4}),
      product("transposed_a", {3, 2}, {3, 4}, {.transpose_a = true}),
      product("transposed_b", {2, 3}, {4, 3}, {.transpose_b = true}),
      product("transposed_both", {3, 2}, {4, 3}, {.transpose_a = true, .transpose_b = true}),
      product("batches", {2, 2, 3}, {2, 3, 4}),
      product("one_b_for_all", {2, 2, 3}, {3, 4}),
      product("one_transposed_b_for_all", {2, 2, 2, 3}, {4, 3}, {.transpose_b = true}),
      product("one_a_for_all", {2, 3}, {2, 3, 2}),
      product("transposed_a_one_b", {2, 3, 2}, {3, 4}, {.transpose_a = true}),
      product("broadcast_batches", {2, 1, 2, 3}, {3, 4, 3}, {.transpose_b = true}),
      product("vectors", {1, 5}, {5, 1}),
      std::move(no_columns),
      std::move(linear_case),
      grouped("one_group", {5}, true),
      grouped("three_groups", {2, 2, 5}, true),
      grouped("groups_without_bias", {3, 5}, false),
  };
}

INSTANTIATE_TEST_SUITE_P(MatMul, OpTest, ::testing::ValuesIn(matmul_cases()), case_name);

TEST(MatMul, GradientsOfParametersAccumulateInPlace) {
  const Tensor x = random({5, 4}, 1), w = requires_grad(random({3, 4}, 2)),
               b = requires_grad(random({3}, 3));
  backward(sum(linear(x, w, b)));
  const Tensor dw = w.grad() * 2.0, db = b.grad() * 2.0;
  const void* memory[] = {w.grad().view().data, b.grad().view().data};
  backward(sum(linear(x, w, b)));
  EXPECT_EQ(memory[0], w.grad().view().data);
  EXPECT_EQ(memory[1], b.grad().view().data);
  expect_close(w.grad(), dw, tolerance(DType::f64, 10, 10));
  expect_close(b.grad(), db, tolerance(DType::f64, 10, 10));
}

TEST(MatMul, OneWeightForTwoGroupsGetsBothGradients) {
  const Tensor x = random({5, 4}, 1), w = requires_grad(random({3, 4}, 2));
  const Tensors weights{w, w};
  const Tensor single = requires_grad(w.detach());
  for (int round = 1; round <= 3; ++round) {  // from the second on, into the gradient that is there
    backward(sum(square(grouped_linear(x, {{2, 5}}, weights, {}))));
    backward(sum(square(linear(x, single))));
    expect_close(w.grad(), single.grad(), tolerance(DType::f64, 20, 100), std::to_string(round));
  }
}

}  // namespace tessera::testing
