#include "tensor/ops/elementwise.h"

#include <numbers>

#include "autograd/autograd.h"
#include "tests/ops/op_table.h"
#include "tests/testing/points.h"

namespace tessera::testing {
namespace {

using Function = Rounded (*)(const Rounded&);
using Function2 = Rounded (*)(const Rounded&, const Rounded&);

/// y[i] = f(x[i])
Reference each(Function f) {
  return [f](const Tensors& in) {
    return Grid::of(in[0].shape(), [&](const auto& at) { return f(element(in[0], at)); });
  };
}
Reference each_pair(Function2 f) {
  return [f](const Tensors& in) {
    return Grid::of(broadcast_shapes("test", in[0].shape(), in[1].shape()),
                    [&](const auto& at) { return f(element(in[0], at), element(in[1], at)); });
  };
}

Rounded normal_distribution(const Rounded& x) {
  return 0.5 * (1 + erf(x * (1 / std::numbers::sqrt2)));
}
Rounded normal_density(const Rounded& x) {
  return exp(-0.5 * x * x) * (1 / std::sqrt(2 * std::numbers::pi));
}
Rounded truth(bool condition) { return condition ? 1.0 : 0.0; }

/// Ranks 0 to 4, sizes around the width of a vector of 16, axes of size 1, no elements.
const Shape kShapes[] = {{},           {1},          {5},     {16},      {33},
                         {3, 5},       {1, 7},       {2, 19}, {2, 3, 4}, {3, 1, 5},
                         {2, 1, 3, 2}, {2, 2, 2, 3}, {0},     {0, 5},    {2, 0, 3}};

/// Every shape that broadcasts to (2, 3), then ranks up to four and no elements.
std::vector<std::pair<Shape, Shape>> broadcasts() {
  const Shape small[] = {{2, 3}, {1, 3}, {2, 1}, {1, 1}, {3}, {1}, {}};
  std::vector<std::pair<Shape, Shape>> all;
  for (const Shape& a : small) {
    for (const Shape& b : small) all.emplace_back(a, b);
  }
  for (const auto& pair : std::initializer_list<std::pair<Shape, Shape>>{{{5}, {5}},
                                                                         {{33}, {33}},
                                                                         {{33}, {}},
                                                                         {{4, 33}, {33}},
                                                                         {{2, 17}, {2, 1}},
                                                                         {{3, 1}, {2, 1, 4}},
                                                                         {{2, 3, 4}, {2, 3, 4}},
                                                                         {{2, 3, 4}, {3, 1}},
                                                                         {{2, 1, 1, 3}, {2, 1, 1}},
                                                                         {{0, 4}, {1, 4}},
                                                                         {{0, 4}, {4}},
                                                                         {{2, 0, 3}, {1, 3}},
                                                                         {{1}, {0}}}) {
    all.push_back(pair);
  }
  return all;
}

struct Unary {
  const char* name;
  Tensor (*op)(const Tensor&);
  Function f;
  enum Domain { all, positive } domain = all;
  bool integers = false, several = false, constant_slope = false;
};

const Unary kUnary[] = {
    {.name = "neg", .op = neg, .f = [](const Rounded& x) { return -x; }, .integers = true},
    {.name = "abs", .op = abs, .f = [](const Rounded& x) { return abs(x); }, .integers = true},
    {.name = "sign",
     .op = sign,
     .f = [](const Rounded& x) { return Rounded(x.value > 0 ? 1 : -1); }},
    {.name = "exp", .op = exp, .f = [](const Rounded& x) { return exp(x); }},
    {.name = "log",
     .op = log,
     .f = [](const Rounded& x) { return log(x); },
     .domain = Unary::positive},
    {.name = "sqrt",
     .op = sqrt,
     .f = [](const Rounded& x) { return sqrt(x); },
     .domain = Unary::positive},
    {.name = "rsqrt",
     .op = rsqrt,
     .f = [](const Rounded& x) { return 1 / sqrt(x); },
     .domain = Unary::positive},
    {.name = "reciprocal", .op = reciprocal, .f = [](const Rounded& x) { return 1 / x; }},
    {.name = "square", .op = square, .f = [](const Rounded& x) { return x * x; }, .integers = true},
    {.name = "sin", .op = sin, .f = [](const Rounded& x) { return sin(x); }},
    {.name = "cos", .op = cos, .f = [](const Rounded& x) { return cos(x); }},
    {.name = "tanh", .op = tanh, .f = [](const Rounded& x) { return tanh(x); }},
    {.name = "sigmoid", .op = sigmoid, .f = [](const Rounded& x) { return 1 / (1 + exp(-x)); }},
    {.name = "softplus",
     .op = softplus,
     .f = [](const Rounded& x) { return max(x, 0) + log1p(exp(-abs(x))); }},
    {.name = "relu", .op = relu, .f = [](const Rounded& x) { return max(x, 0); }},
    {.name = "erf", .op = erf, .f = [](const Rounded& x) { return erf(x); }},
    {.name = "gelu", .op = gelu, .f = [](const Rounded& x) { return x * normal_distribution(x); }},
    {.name = "gelu_grad",
     .op = gelu_grad,
     .f = [](const Rounded& x) { return normal_distribution(x) + x * normal_density(x); }},
    {.name = "add_number",
     .op = [](const Tensor& x) { return 3.0 + x; },
     .f = [](const Rounded& x) { return x + 3; },
     .integers = true},
    {.name = "sub_number",
     .op = [](const Tensor& x) { return x - 2.0; },
     .f = [](const Rounded& x) { return x - 2; },
     .integers = true},
    {.name = "number_sub",
     .op = [](const Tensor& x) { return 3.0 - x; },
     .f = [](const Rounded& x) { return 3 - x; },
     .integers = true},
    {.name = "mul_number",
     .op = [](const Tensor& x) { return x * -3.0; },
     .f = [](const Rounded& x) { return x * -3; },
     .integers = true},
    {.name = "div_number",
     .op = [](const Tensor& x) { return x / 3.0; },
     .f = [](const Rounded& x) { return x * (Rounded(1) / 3); }},
    {.name = "number_div",
     .op = [](const Tensor& x) { return 3.0 / x; },
     .f = [](const Rounded& x) { return 3 * (1 / x); },
     .several = true},
    {.name = "pow_real",
     .op = [](const Tensor& x) { return pow(x, 2.5); },
     .f = [](const Rounded& x) { return pow(x, 2.5); },
     .domain = Unary::positive},
    {.name = "pow_cube",
     .op = [](const Tensor& x) { return pow(x, 3); },
     .f = [](const Rounded& x) { return pow(x, 3); }},
    {.name = "pow_two",
     .op = [](const Tensor& x) { return pow(x, 2); },
     .f = [](const Rounded& x) { return pow(x, 2); }},
    {.name = "pow_one",
     .op = [](const Tensor& x) { return pow(x, 1); },
     .f = [](const Rounded& x) { return x; },
     .constant_slope = true},
    {.name = "pow_zero",
     .op = [](const Tensor& x) { return pow(x, 0); },
     .f = [](const Rounded&) { return Rounded(1); },
     .constant_slope = true},
    {.name = "clamp",
     .op = [](const Tensor& x) { return clamp(x, -1.24, 0.86); },
     .f = [](const Rounded& x) { return Rounded(std::clamp(x.value, -1.24, 0.86), 1); }},
    {.name = "masked_fill",
     .op = [](const Tensor& x) { return masked_fill(x, x > 0, 7); },
     .f = [](const Rounded& x) { return x.value > 0 ? Rounded(7) : x; }},
};

struct Binary {
  const char* name;
  Tensor (*op)(const Tensor&, const Tensor&);
  Function2 f;
  bool integers = true, differentiable = true;
};

const Binary kBinary[] = {
    {"add", add, [](const Rounded& a, const Rounded& b) { return a + b; }},
    {"sub", sub, [](const Rounded& a, const Rounded& b) { return a - b; }},
    {"mul", mul, [](const Rounded& a, const Rounded& b) { return a * b; }},
    {"div", div, [](const Rounded& a, const Rounded& b) { return a / b; }, false},
    {"maximum", maximum, [](const Rounded& a, const Rounded& b) { return max(a, b); }},
    {"minimum", minimum, [](const Rounded& a, const Rounded& b) { return min(a, b); }},
    {"where", [](const Tensor& a, const Tensor& b) { return where(a.detach() < 0.0, a, b); },
     [](const Rounded& a, const Rounded& b) { return a.value < 0 ? a : b; }, false},
    {"equal", [](const Tensor& a, const Tensor& b) { return equal(a, b); },
     [](const Rounded& a, const Rounded& b) { return truth(a.value == b.value); }, true, false},
    {"less", [](const Tensor& a, const Tensor& b) { return a < b; },
     [](const Rounded& a, const Rounded& b) { return truth(a.value < b.value); }, true, false},
    {"less_equal", [](const Tensor& a, const Tensor& b) { return a <= b; },
     [](const Rounded& a, const Rounded& b) { return truth(a.value <= b.value); }, true, false},
    {"greater", [](const Tensor& a, const Tensor& b) { return a > b; },
     [](const Rounded& a, const Rounded& b) { return truth(a.value > b.value); }, true, false},
    {"greater_equal", [](const Tensor& a, const Tensor& b) { return a >= b; },
     [](const Rounded& a, const Rounded& b) { return truth(a.value >= b.value); }, true, false},
    {"logical_and", [](const Tensor& a, const Tensor& b) { return logical_and(a > 0.0, b > 0.0); },
     [](const Rounded& a, const Rounded& b) { return truth(a.value > 0 && b.value > 0); }, true,
     false},
    {"logical_or", [](const Tensor& a, const Tensor& b) { return logical_or(a > 0.0, b > 0.0); },
     [](const Rounded& a, const Rounded& b) { return truth(a.value > 0 || b.value > 0); }, true,
     false},
};

/// A condition of its own, in some layout.
OpCase where_of(const char* name, const Tensor& mask, const Shape& a, const Shape& b) {
  return {.op = "where",
          .name = name,
          .inputs = {off_grid(a, 4), off_grid(b, 5)},
          .run = [=](const Tensors& in) { return where(mask, in[0], in[1]); },
          .reference =
              [=](const Tensors& in) {
                const Shape ab = broadcast_shapes("test", in[0].shape(), in[1].shape());
                return Grid::of(broadcast_shapes("test", mask.shape(), ab), [&](const auto& at) {
                  return Rounded(element(element(mask, at) != 0 ? in[0] : in[1], at));
                });
              },
          .dtypes = kArithmetic};
}

}  // namespace

std::vector<OpCase> elementwise_cases() {
  std::vector<OpCase> all;
  for (const Unary& u : kUnary) {
    for (const Shape& shape : kShapes) {
      all.push_back({.op = u.name,
                     .name = to_string(shape),
                     .inputs = {off_grid(shape, 1, false, u.domain == Unary::all)},
                     .run = [op = u.op](const Tensors& in) { return op(in[0]); },
                     .reference = each(u.f),
                     .dtypes = u.integers ? kArithmetic : kFloating,
                     .several = u.several,
                     .constant_slope = u.constant_slope});
    }
  }
  for (const Binary& b : kBinary) {
    for (const auto& [left, right] : broadcasts()) {
      all.push_back({.op = b.name,
                     .name = format("{} and {}", left, right),
                     .inputs = {off_grid(left, 2), off_grid(right, 3, true)},
                     .run = [op = b.op](const Tensors& in) { return op(in[0], in[1]); },
                     .reference = each_pair(b.f),
                     .dtypes = b.integers ? kArithmetic : kFloating,
                     .differentiable = b.differentiable});
    }
  }
  const Tensor mask = off_grid({3, 4}, 6) > 0.0;
  all.push_back(where_of("condition (3, 4)", mask, {3, 4}, {3, 4}));
  all.push_back(where_of("condition (3, 4) transposed", transpose(transpose(mask).contiguous()),
                         {3, 4}, {4}));
  all.push_back(where_of("condition (4)", select(mask, 0, 1), {3, 1}, {3, 4}));
  all.push_back(where_of("condition ()", scalar(1) > 0.0, {4}, {3, 1}));
  all.push_back(where_of("condition (2, 3, 4) expanded", expand(mask, {2, 3, 4}), {4}, {3, 1}));
  return all;
}

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
