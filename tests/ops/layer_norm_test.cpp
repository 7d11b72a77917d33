#include "tensor/ops/layer_norm.h"

#include "autograd/autograd.h"
#include "tests/ops/all_cases.h"
#include "tests/testing/op_test.h"
#include "tests/testing/tensors.h"

namespace tessera::testing {
namespace {

constexpr double kEps = 1e-5;

Tensors with_parameters(Tensors first, int64_t width, size_t groups) {
  for (size_t i = 0; i < 2 * groups; ++i) first.push_back(random({width}, 80 + i));
  return first;
}

OpCase norm(const char* name, const Shape& shape) {
  return {
      .name = name,
      .inputs = with_parameters({random(shape, 71)}, shape.back(), 1),
      .run = [](const Tensors& in) { return layer_norm(in[0], in[1], in[2], kEps); },
      .expected = [](const Tensors& in) { return composed::layer_norm(in[0], in[1], in[2], kEps); },
      .composed = true,
      .empty = {zeros({0, 3}, {DType::f64}), ones({3}, {DType::f64}), zeros({3}, {DType::f64})},
      .length = 4 * shape.back()};
}

OpCase grouped(const char* name, std::vector<int64_t> ends, int64_t width) {
  const RowGroups groups{std::move(ends)};
  const size_t n = groups.size();
  return {.name = name,
          .inputs = with_parameters({random({groups.rows(), width}, 72)}, width, n),
          .run =
              [=](const Tensors& in) {
                const auto all = std::span(in).subspan(1);
                return grouped_layer_norm(in[0], groups, all.first(n), all.last(n), kEps);
              },
          .expected =
              [=](const Tensors& in) {
                const auto all = std::span(in).subspan(1);
                return composed::grouped_layer_norm(in[0], groups, all.first(n), all.last(n), kEps);
              },
          .composed = true,
          .length = 4 * width};
}

/// `outputs`: both, or one of sum and norm.
OpCase residual(const char* name, std::vector<int64_t> ends, bool scaled, int only = -1) {
  const RowGroups groups{std::move(ends)};
  const size_t n = groups.size();
  const int64_t rows = groups.rows();
  auto kept = [only](const SumAndNorm& y) -> Tensors {
    if (only == 0) return {y.sum};
    if (only == 1) return {y.norm};
    return {y.sum, y.norm};
  };
  const Tensor scale = scaled ? random({rows}, 75) : Tensor();
  return {.name = name,
          .inputs = with_parameters({random({rows, 6}, 73), random({rows, 6}, 74), scale}, 6, n),
          .run =
              [=](const Tensors& in) {
                const auto all = std::span(in).subspan(3);
                return kept(
                    add_layer_norm(in[0], in[1], in[2], groups, all.first(n), all.last(n), kEps));
              },
          .expected =
              [=](const Tensors& in) {
                const auto all = std::span(in).subspan(3);
                return kept(composed::add_layer_norm(in[0], in[1], in[2], groups, all.first(n),
                                                     all.last(n), kEps));
              },
          .composed = true,
          .length = 24};
}

}  // namespace

std::vector<OpCase> layer_norm_cases() {
  OpCase sum_alone = residual("residual_sum_alone", {4}, true, 0);
  sum_alone.inputs.resize(3);  // the parameters do not matter to it
  const Tensors parameters = with_parameters({}, 6, 1);
  sum_alone.run = [parameters](const Tensors& in) {
    const Tensor gamma = parameters[0].to(in[0].dtype()), beta = parameters[1].to(in[0].dtype());
    return add_layer_norm(in[0], in[1], in[2], {{4}}, std::span(&gamma, 1), std::span(&beta, 1),
                          kEps)
        .sum;
  };
  sum_alone.expected = [](const Tensors& in) { return in[0] + in[1] * reshape(in[2], {4, 1}); };
  return {
      norm("vector", {9}),
      norm("rows", {3, 8}),
      norm("rank_three", {2, 2, 5}),
      norm("odd_width", {2, 33}),
      grouped("two_groups", {2, 5}, 6),
      grouped("an_empty_group", {0, 3, 3, 4}, 5),
      residual("residual", {4}, false),
      residual("residual_scaled", {1, 4}, true),
      residual("residual_norm_alone", {4}, true, 1),
      std::move(sum_alone),
  };
}

INSTANTIATE_TEST_SUITE_P(LayerNorm, OpTest, ::testing::ValuesIn(layer_norm_cases()), case_name);

TEST(LayerNorm, FourthDerivativeIsThatOfTheComposition) {
  const OpCase c = norm("", {2, 4});
  const Tensors actual = derivatives(c.run, c.inputs, 4),
                expected = derivatives(c.expected, c.inputs, 4);
  for (size_t i = 0; i < actual.size(); ++i) {
    double scale = 1;
    for (double v : expected[i].to_vector<double>()) scale = std::max(scale, std::abs(v));
    expect_close(actual[i], expected[i], 1000 * tolerance(DType::f64, 16, scale));
  }
}

TEST(LayerNorm, AConstantRowHasFiniteDerivatives) {
  const Tensor x = requires_grad(full({3, 8}, 2.0, {DType::f64}));
  const Tensor gamma = requires_grad(random({8}, 1)), beta = requires_grad(random({8}, 2));
  backward(sum(layer_norm(x, gamma, beta)));
  for (const Tensor& leaf : {x, gamma, beta}) {
    for (double v : leaf.grad().to_vector<double>()) EXPECT_TRUE(std::isfinite(v));
  }
  expect_values(gamma.grad(), {8}, std::vector<double>(8, 0.0));
  expect_values(beta.grad(), {8}, std::vector<double>(8, 3.0));
}

TEST(LayerNorm, AGammaThatDependsOnXCountsOnce) {
  const Tensor x0 = random({2, 5}, 3), beta = random({5}, 4);
  auto total = [&](auto norm_of) {
    const Tensor x = requires_grad(x0.detach());
    const Tensor gamma = sum(square(x), {0});
    const Tensor g = grad(sum(square(norm_of(x, gamma))), {x}, {.create_graph = true})[0];
    return Tensors{g, grad(sum(square(g)), {x})[0]};
  };
  const Tensors actual =
      total([&](const Tensor& x, const Tensor& gamma) { return layer_norm(x, gamma, beta, kEps); });
  const Tensors expected = total([&](const Tensor& x, const Tensor& gamma) {
    return composed::layer_norm(x, gamma, beta, kEps);
  });
  expect_close(actual[0], expected[0], tolerance(DType::f64, 100, 100));
  expect_close(actual[1], expected[1], tolerance(DType::f64, 1000, 1e5));
}

}  // namespace tessera::testing
