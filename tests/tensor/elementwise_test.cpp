#include "tensor/ops/elementwise.h"

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
using testing::random;
using testing::tolerance;

struct UnaryCase {
  const char* name;
  Tensor (*op)(const Tensor&);
  double (*reference)(double);
  bool positive = false;
};

double phi(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * M_PI); }
double normal_cdf(double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; }

const UnaryCase kUnary[] = {
    {"neg", neg, [](double x) { return -x; }},
    {"abs", abs, [](double x) { return std::fabs(x); }},
    {"sign", sign, [](double x) { return x > 0   ? 1.0
                                         : x < 0 ? -1.0
                                                 : 0.0; }},
    {"exp", exp, [](double x) { return std::exp(x); }},
    {"log", log, [](double x) { return std::log(x); }, true},
    {"sqrt", sqrt, [](double x) { return std::sqrt(x); }, true},
    {"rsqrt", rsqrt, [](double x) { return 1 / std::sqrt(x); }, true},
    {"reciprocal", reciprocal, [](double x) { return 1 / x; }, true},
    {"square", square, [](double x) { return x * x; }},
    {"sin", sin, [](double x) { return std::sin(x); }},
    {"cos", cos, [](double x) { return std::cos(x); }},
    {"tanh", tanh, [](double x) { return std::tanh(x); }},
    {"sigmoid", sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }},
    {"softplus", softplus, [](double x) { return std::log1p(std::exp(x)); }},
    {"relu", relu, [](double x) { return std::max(x, 0.0); }},
    {"erf", erf, [](double x) { return std::erf(x); }},
    {"gelu", gelu, [](double x) { return x * normal_cdf(x); }},
    {"gelu_grad", gelu_grad, [](double x) { return normal_cdf(x) + x * phi(x); }},
    {"pow", [](const Tensor& x) { return pow(x, 2.5); }, [](double x) { return std::pow(x, 2.5); },
     true},
    {"clamp", [](const Tensor& x) { return clamp(x, -0.5, 0.75); },
     [](double x) { return std::min(std::max(x, -0.5), 0.75); }},
    {"add", [](const Tensor& x) { return x + 1.5; }, [](double x) { return x + 1.5; }},
    {"mul", [](const Tensor& x) { return 3.0 * x; }, [](double x) { return 3 * x; }},
    {"sub from", [](const Tensor& x) { return 2.0 - x; }, [](double x) { return 2 - x; }},
    {"divide into", [](const Tensor& x) { return 2.0 / x; }, [](double x) { return 2 / x; }, true},
};

TEST(Unary, EqualsTheFormulaInEveryLayout) {
  for (const UnaryCase& c : kUnary) {
    for (const Shape& shape : {Shape{}, Shape{1}, Shape{37}, Shape{3, 5}, Shape{2, 3, 17},
                               Shape{0, 4}, Shape{300, 70}}) {
      for (DType dtype : {DType::f64, DType::f32, DType::bf16}) {
        Tensor x = random(shape, 3, dtype);
        if (c.positive) x = abs(x) + 0.25;
        const auto at_x = x.to_vector<double>();
        double largest = 1;
        std::vector<double> expected;
        for (double v : at_x) {
          expected.push_back(c.reference(v));
          largest = std::max(largest, std::fabs(expected.back()));
        }
        for (const auto& [layout, view] : layouts(x)) {
          expect_close(c.op(view), from_data(expected, shape), tolerance(dtype, 1, largest),
                       std::string(c.name) + ", " + layout + ", " + std::string(to_string(dtype)));
        }
      }
    }
  }
}

struct BinaryCase {
  const char* name;
  Tensor (*op)(const Tensor&, const Tensor&);
  double (*reference)(double, double);
};
const BinaryCase kBinary[] = {
    {"add", add, [](double a, double b) { return a + b; }},
    {"sub", sub, [](double a, double b) { return a - b; }},
    {"mul", mul, [](double a, double b) { return a * b; }},
    {"div", div, [](double a, double b) { return a / b; }},
    {"maximum", maximum, [](double a, double b) { return std::max(a, b); }},
    {"minimum", minimum, [](double a, double b) { return std::min(a, b); }},
};

TEST(Binary, BroadcastsInEveryLayout) {
  const std::pair<Shape, Shape> shapes[] = {{{}, {}},
                                            {{5}, {}},
                                            {{}, {3, 4}},
                                            {{3, 4}, {4}},
                                            {{3, 1}, {1, 4}},
                                            {{2, 3, 5}, {3, 1}},
                                            {{2, 1, 5}, {4, 5}},
                                            {{0, 3}, {3}},
                                            {{64, 129}, {64, 129}},
                                            {{1}, {0}}};
  for (const BinaryCase& c : kBinary) {
    for (const auto& [sa, sb] : shapes) {
      for (DType dtype : {DType::f64, DType::f32, DType::bf16}) {
        const Tensor a = random(sa, 1, dtype);
        const Tensor b = sign(random(sb, 2, dtype)) * (abs(random(sb, 2, dtype)) + 0.5);
        const Shape shape = broadcast_shapes("test", sa, sb);
        double largest = 1;
        const Tensor expected = by_position(shape, [&](const auto& at) {
          const double y = c.reference(element(a, at), element(b, at));
          largest = std::max(largest, std::fabs(y));
          return y;
        });
        for (const auto& [la, va] : layouts(a)) {
          for (const auto& [lb, vb] : layouts(b)) {
            expect_close(c.op(va, vb), expected, tolerance(dtype, 1, largest),
                         format("{} of {} {} and {} {}", c.name, sa, la, sb, lb));
          }
        }
      }
    }
  }
}

TEST(Binary, OfExpandedTensors) {
  const Tensor a = expand(random({3, 1}, 1), {2, 3, 4}), b = expand(random({4}, 2), {3, 4});
  expect_close(a * b, a.contiguous() * b.contiguous(), 0);
}

TEST(Integers, HaveExactArithmetic) {
  const Tensor x = arange(4) + 3;
  expect_equal(x * 2, from_data(std::vector<int64_t>{6, 8, 10, 12}, {4}));
  expect_equal(neg(x), from_data(std::vector<int64_t>{-3, -4, -5, -6}, {4}));
  expect_equal(square(x), from_data(std::vector<int64_t>{9, 16, 25, 36}, {4}));
  expect_equal(x - arange(4), from_data(std::vector<int64_t>{3, 3, 3, 3}, {4}));
  EXPECT_ERROR(x * 0.5, ValueError,
               "mul: 0.5 is no integer, but x is i64; convert x with .to(DType::f32)");
  EXPECT_ERROR(exp(x), DTypeError,
               "exp: x is i64, but must be floating; convert it with .to(DType::f32)");
  EXPECT_ERROR(x / x, DTypeError,
               "div: a is i64, but must be floating; convert it with .to(DType::f32)");
}

TEST(Compare, FollowsIeee) {
  const Tensor a = from_values({1, 2, NAN, 3}), b = from_values({1, 3, NAN, 2});
  EXPECT_EQ(equal(a, b).to_vector<bool>(), (std::vector<bool>{true, false, false, false}));
  EXPECT_EQ((a < b).to_vector<bool>(), (std::vector<bool>{false, true, false, false}));
  EXPECT_EQ((a <= b).to_vector<bool>(), (std::vector<bool>{true, true, false, false}));
  EXPECT_EQ((a > b).to_vector<bool>(), (std::vector<bool>{false, false, false, true}));
  EXPECT_EQ((a >= b).to_vector<bool>(), (std::vector<bool>{true, false, false, true}));
  EXPECT_EQ(compare(CompareOp::not_equal, a, b).to_vector<bool>(),
            (std::vector<bool>{false, true, true, true}));
  EXPECT_EQ((a > 1.5).to_vector<bool>(), (std::vector<bool>{false, true, false, true}));
  EXPECT_EQ((unsqueeze(arange(3), -1) < arange(2)).to_vector<bool>(),
            (std::vector<bool>{false, true, false, false, false, false}));
}

TEST(Logical, WorksOnBooleans) {
  const Tensor a = from_values({0, 0, 1, 1}).to(DType::boolean);
  const Tensor b = from_values({0, 1, 0, 1}).to(DType::boolean);
  EXPECT_EQ(logical_and(a, b).to_vector<bool>(), (std::vector<bool>{false, false, false, true}));
  EXPECT_EQ(logical_or(a, b).to_vector<bool>(), (std::vector<bool>{false, true, true, true}));
  EXPECT_EQ(logical_not(a).to_vector<bool>(), (std::vector<bool>{true, true, false, false}));
  EXPECT_ERROR(a + b, DTypeError,
               "add: a is bool, which has no arithmetic; use logical_and, logical_or, logical_not, "
               "or convert it with .to(dtype)");
  EXPECT_ERROR(logical_and(a, zeros({4})), DTypeError,
               "logical_and: a is bool and b is f32, but both must be bool; compare them with 0");
}

TEST(Where, BroadcastsAllThree) {
  const Tensor c = from_values({1, 0}).to(DType::boolean);
  const Tensor a = reshape(arange(3), {3, 1}), b = scalar(-1, {.dtype = DType::i64});
  expect_values(where(c, a, b), {3, 2}, {0, -1, 1, -1, 2, -1});
  expect_values(masked_fill(from_values({1, 2}), c, -INFINITY), {2}, {-INFINITY, 2});
  EXPECT_ERROR(where(zeros({2}), a, b), DTypeError,
               "where: condition is f32, but must be bool, where true takes from a; compare it "
               "with 0");
  EXPECT_ERROR(masked_fill(zeros({2}), zeros({2}), 1), DTypeError,
               "masked_fill: mask is f32, but must be bool, where true is filled; compare it with "
               "0");
}

TEST(Elementwise, RefusesWhatDoesNotFit) {
  EXPECT_ERROR(zeros({2, 3}) + zeros({2, 4}), ShapeError,
               "add: shapes (2, 3) and (2, 4) do not broadcast: axis -1 has sizes 3 and 4");
  EXPECT_ERROR(zeros({2}) * zeros({2}, {.dtype = DType::f64}), DTypeError,
               "mul: a is f32, but b is f64; convert one with .to(dtype)");
  EXPECT_ERROR(exp(zeros({2}, {.dtype = DType::f16})), DTypeError,
               "exp: x is f16, which is for storage; convert it with .to(DType::f32)");
  EXPECT_ERROR(clamp(zeros({2}), 1, 0), ValueError, "clamp: low is 1, which is not at most high 0");
}

TEST(Elementwise, NanAndInfinityPass) {
  const Tensor x = from_values({NAN, INFINITY, -INFINITY});
  expect_values(relu(x), {3}, {NAN, INFINITY, 0});
  expect_values(maximum(x, zeros({3})), {3}, {NAN, INFINITY, 0});
  expect_values(clamp(x, -1, 1), {3}, {NAN, 1, -1});
  expect_values(exp(x), {3}, {NAN, INFINITY, 0});
  expect_values(gelu(from_values({40, -40})), {2}, {40, 0});
}

}  // namespace
}  // namespace tessera
