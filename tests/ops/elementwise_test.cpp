#include "tensor/ops/elementwise.h"

#include <numbers>

#include "autograd/autograd.h"
#include "tests/ops/all_cases.h"
#include "tests/testing/op_test.h"
#include "tests/testing/tensors.h"

namespace tessera::testing {
namespace {

using Scalar = double (*)(double);
using Scalar2 = double (*)(double, double);

/// y[i] = f(x[i])
CaseFunction each(Scalar f) {
  return [f](const Tensors& in) {
    return by_position(in[0].shape(), [&](const auto& at) { return f(element(in[0], at)); });
  };
}
CaseFunction each_pair(Scalar2 f) {
  return [f](const Tensors& in) {
    return by_position(broadcast_shapes("test", in[0].shape(), in[1].shape()),
                       [&](const auto& at) { return f(element(in[0], at), element(in[1], at)); });
  };
}

/// Between 0.5 and 2: inside every domain, and away from every kink.
Tensor positive(const Shape& shape, uint64_t seed) {
  return by_position(shape, [stream = RandomStream(RandomKey{seed})](const auto&) mutable {
    return stream.uniform(0.5, 2);
  });
}
/// The same with both signs.
Tensor away_from_zero(const Shape& shape, uint64_t seed) {
  return by_position(shape, [stream = RandomStream(RandomKey{seed})](const auto&) mutable {
    const double size = stream.uniform(0.3, 2);
    return stream.chance(0.5) ? size : -size;
  });
}

double normal_distribution(double x) { return 0.5 * (1 + std::erf(x / std::numbers::sqrt2)); }
double normal_density(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2 * std::numbers::pi); }

OpCase unary(const char* name, Tensor (*op)(const Tensor&), Scalar f, bool only_positive = false) {
  return {.name = name,
          .inputs = {only_positive ? positive({3, 5}, 1) : away_from_zero({3, 5}, 1)},
          .run = [op](const Tensors& in) { return op(in[0]); },
          .expected = each(f),
          .empty = {zeros({0, 5}, {DType::f64})}};
}

OpCase binary(const std::string& name, Tensor (*op)(const Tensor&, const Tensor&), Scalar2 f,
              const Shape& a, const Shape& b) {
  return {.name = name,
          .inputs = {away_from_zero(a, 2), away_from_zero(b, 3)},
          .run = [op](const Tensors& in) { return op(in[0], in[1]); },
          .expected = each_pair(f),
          .empty = {zeros({0, 1}, {DType::f64}), ones({4}, {DType::f64})},
          .expandable = name.find("imum") == std::string::npos,  // ties have kinks
          .length = 8};
}

}  // namespace

std::vector<OpCase> elementwise_cases() {
  std::vector<OpCase> all{
      unary("neg", neg, [](double x) { return -x; }),
      unary("abs", abs, [](double x) { return std::fabs(x); }),
      unary("sign", sign, [](double x) { return x > 0 ? 1.0 : -1.0; }),
      unary("exp", exp, [](double x) { return std::exp(x); }),
      unary(
          "log", log, [](double x) { return std::log(x); }, true),
      unary(
          "sqrt", sqrt, [](double x) { return std::sqrt(x); }, true),
      unary(
          "rsqrt", rsqrt, [](double x) { return 1 / std::sqrt(x); }, true),
      unary("reciprocal", reciprocal, [](double x) { return 1 / x; }),
      unary("square", square, [](double x) { return x * x; }),
      unary("sin", sin, [](double x) { return std::sin(x); }),
      unary("cos", cos, [](double x) { return std::cos(x); }),
      unary("tanh", tanh, [](double x) { return std::tanh(x); }),
      unary("sigmoid", sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }),
      unary("softplus", softplus, [](double x) { return std::log(1 + std::exp(x)); }),
      unary("relu", relu, [](double x) { return std::max(x, 0.0); }),
      unary("erf", erf, [](double x) { return std::erf(x); }),
      unary("gelu", gelu, [](double x) { return x * normal_distribution(x); }),
      unary("gelu_grad", gelu_grad,
            [](double x) { return normal_distribution(x) + x * normal_density(x); }),
      unary(
          "add_number", [](const Tensor& x) { return 3.0 + x - 0.5; },
          [](double x) { return x + 2.5; }),
      unary(
          "mul_number", [](const Tensor& x) { return x * -1.5; },
          [](double x) { return -1.5 * x; }),
      unary(
          "div_number", [](const Tensor& x) { return x / 4.0; }, [](double x) { return x / 4; }),
      unary(
          "number_div", [](const Tensor& x) { return 3.0 / x; }, [](double x) { return 3 / x; }),
      unary(
          "number_sub", [](const Tensor& x) { return 3.0 - x; }, [](double x) { return 3 - x; }),
      unary(
          "pow_real", [](const Tensor& x) { return pow(x, 2.5); },
          [](double x) { return std::pow(x, 2.5); }, true),
      unary(
          "pow_cube", [](const Tensor& x) { return pow(x, 3); },
          [](double x) { return x * x * x; }),
      unary(
          "pow_two", [](const Tensor& x) { return pow(x, 2); }, [](double x) { return x * x; }),
      unary(
          "pow_one", [](const Tensor& x) { return pow(x, 1); }, [](double x) { return x; }),
      unary(
          "pow_zero", [](const Tensor& x) { return pow(x, 0); }, [](double) { return 1.0; }),
      unary(
          "clamp", [](const Tensor& x) { return clamp(x, -1, 0.9); },
          [](double x) { return std::clamp(x, -1.0, 0.9); }),
      unary(
          "masked_fill", [](const Tensor& x) { return masked_fill(x, x > 0, 7); },
          [](double x) { return x > 0 ? 7.0 : x; }),
  };
  struct Shapes {
    const char* name;
    Shape a, b;
  };
  for (const Shapes& s : {Shapes{"", {3, 4}, {3, 4}}, Shapes{"_row", {3, 4}, {4}},
                          Shapes{"_outer", {3, 1}, {2, 1, 4}}, Shapes{"_scalar", {}, {3, 4}}}) {
    auto add_case = [&](const char* name, Tensor (*op)(const Tensor&, const Tensor&), Scalar2 f) {
      all.push_back(binary(std::string(name) + s.name, op, f, s.a, s.b));
    };
    add_case("add", add, [](double a, double b) { return a + b; });
    add_case("sub", sub, [](double a, double b) { return a - b; });
    add_case("mul", mul, [](double a, double b) { return a * b; });
    add_case("div", div, [](double a, double b) { return a / b; });
    add_case("maximum", maximum, [](double a, double b) { return std::max(a, b); });
    add_case("minimum", minimum, [](double a, double b) { return std::min(a, b); });
    add_case(
        "where", [](const Tensor& a, const Tensor& b) { return where(a < 0.0, a, b); },
        [](double a, double b) { return a < 0 ? a : b; });
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Elementwise, OpTest, ::testing::ValuesIn(elementwise_cases()), case_name);

TEST(Elementwise, TiesShareTheGradient) {
  const Tensor a = requires_grad(from_values({1, 2, 3})), b = requires_grad(from_values({1, 5, 0}));
  backward(sum(maximum(a, b)));
  expect_values(a.grad(), {3}, {0.5, 0, 1});
  expect_values(b.grad(), {3}, {0.5, 1, 0});
  zero_grad(a);
  backward(sum(minimum(a, b)));
  expect_values(a.grad(), {3}, {0.5, 1, 0});
}

TEST(Elementwise, PowersAtZero) {
  const Tensor x = requires_grad(from_values({0, 2}));
  const Tensor g = grad(sum(pow(x, 2)), {x}, {.create_graph = true})[0];
  expect_values(g, {2}, {0, 4});
  expect_values(grad(sum(g), {x})[0], {2}, {2, 2});
}

TEST(Elementwise, AnInfiniteGradientPassesTheMaskOnlyWhereItBelongs) {
  const Tensor x = requires_grad(from_values({-1, 1}));
  backward(relu(x), {.gradient = full({2}, INFINITY)});
  expect_values(x.grad(), {2}, {0, INFINITY});
}

}  // namespace tessera::testing
