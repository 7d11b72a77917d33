#include "tensor/ops/matmul.h"

#include "autograd/autograd.h"
#include "tensor/ops/shape_ops.h"
#include "tests/ops/op_table.h"
#include "tests/testing/reference.h"

namespace tessera::testing {
namespace {

const std::vector<DType> kMultiplied{DType::f64, DType::f32, DType::bf16, DType::f16};

OpCase product(const Shape& a, const Shape& b, MatMulOptions options = {}) {
  return {.op = "matmul",
          .name = format("{}{} by {}{}", a, options.transpose_a ? " transposed" : "", b,
                         options.transpose_b ? " transposed" : ""),
          .inputs = {random(a, 31), random(b, 32)},
          .run = [=](const Tensors& in) { return matmul(in[0], in[1], options); },
          .reference = [=](const Tensors& in) { return reference::matmul(in[0], in[1], options); },
          .dtypes = kMultiplied,
          .length = 20};
}

OpCase grouped(const char* name, std::vector<int64_t> ends, bool bias) {
  const RowGroups groups{std::move(ends)};
  const size_t n = groups.size();
  auto with = [=](auto f) {
    return [=](const Tensors& in) {
      const auto all = std::span(in).subspan(1);
      return f(in[0], groups, all.first(n), all.last(n));
    };
  };
  OpCase c{.op = "grouped_linear",
           .name = name,
           .inputs = {random({groups.rows(), 4}, 33)},
           .run = with(grouped_linear),
           .reference = with(reference::grouped_linear),
           .composed = with(composed::grouped_linear),
           .dtypes = kMultiplied,
           .parameters = 1,
           .length = 20};
  for (size_t i = 0; i < n; ++i) c.inputs.push_back(random({3, 4}, 34 + i));
  for (size_t i = 0; i < n; ++i) c.inputs.push_back(bias ? random({3}, 50 + i) : Tensor());
  return c;
}

OpCase linear_case(const Shape& x, int64_t out, bool bias) {
  return {
      .op = "linear",
      .name = format("{} to {}{}", x, out, bias ? "" : " without bias"),
      .inputs = {random(x, 40), random({out, x.back()}, 41), bias ? random({out}, 42) : Tensor()},
      .run = [](const Tensors& in) { return linear(in[0], in[1], in[2]); },
      .reference =
          [](const Tensors& in) {
            return reference::grouped_linear(in[0], {{0}}, std::span(&in[1], 1),
                                             std::span(&in[2], 1));
          },
      .composed =
          [](const Tensors& in) {
            const Tensor y = matmul(unsqueeze(in[0], 0), in[1], {.transpose_b = true});
            return squeeze(in[2].defined() ? y + in[2] : y, 0);
          },
      .dtypes = kMultiplied,
      .parameters = 1,
      .length = 20};
}

}  // namespace

std::vector<OpCase> matmul_cases() {
  return {
      product({2, 3}, {3, 4}),
      product({3, 2}, {3, 4}, {.transpose_a = true}),
      product({2, 3}, {4, 3}, {.transpose_b = true}),
      product({3, 2}, {4, 3}, {.transpose_a = true, .transpose_b = true}),
      product({2, 2, 3}, {2, 3, 4}),
      product({2, 2, 3}, {3, 4}),
      product({2, 2, 2, 3}, {4, 3}, {.transpose_b = true}),
      product({2, 3}, {2, 3, 2}),
      product({2, 3, 2}, {3, 4}, {.transpose_a = true}),
      product({2, 1, 2, 3}, {3, 4, 3}, {.transpose_b = true}),
      product({1, 5}, {5, 1}),
      product({5, 1}, {1, 5}),
      product({1, 1}, {1, 1}),
      product({7, 19}, {19, 17}),
      product({17, 8}, {33, 8}, {.transpose_b = true}),
      product({2, 0}, {0, 3}),
      product({0, 3}, {3, 4}),
      product({2, 3}, {3, 0}),
      product({0, 2, 3}, {3, 4}),
      linear_case({2, 3, 4}, 3, true),
      linear_case({2, 4}, 3, false),
      linear_case({4}, 3, true),
      linear_case({5, 17}, 9, true),
      linear_case({0, 4}, 3, true),
      grouped("one group", {5}, true),
      grouped("three groups", {2, 2, 5}, true),
      grouped("two groups without bias", {3, 5}, false),
  };
}

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
