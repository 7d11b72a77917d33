#include "tensor/ops/layer_norm.h"

#include "autograd/autograd.h"
#include "tests/ops/op_table.h"
#include "tests/testing/op_test.h"
#include "tests/testing/reference.h"

namespace tessera::testing {
namespace {

constexpr double kEps = 1e-5;

/// gamma of each group, then beta of each.
Tensors with_parameters(Tensors first, int64_t width, size_t groups) {
  for (size_t i = 0; i < 2 * groups; ++i) first.push_back(random({width}, 80 + i));
  return first;
}

OpCase norm(const Shape& shape) {
  return {
      .op = "layer_norm",
      .name = to_string(shape),
      .inputs = with_parameters({random(shape, 71)}, shape.back(), 1),
      .run = [](const Tensors& in) { return layer_norm(in[0], in[1], in[2], kEps); },
      .reference =
          [](const Tensors& in) {
            return reference::grouped_norm(reference::exact(in[0]), {{0}}, std::span(&in[1], 1),
                                           std::span(&in[2], 1), kEps);
          },
      .composed = [](const Tensors& in) { return composed::layer_norm(in[0], in[1], in[2], kEps); },
      .parameters = 1,
      .expandable = shape.rank() > 1,  // a constant row bends within eps
      .length = 4 * shape.back()};
}

OpCase grouped(std::vector<int64_t> ends, int64_t width) {
  const RowGroups groups{std::move(ends)};
  const size_t n = groups.size();
  auto with = [=](auto f) {
    return [=](const Tensors& in) {
      const auto all = std::span(in).subspan(1);
      return f(in[0], groups, all.first(n), all.last(n), kEps);
    };
  };
  return {
      .op = "grouped_layer_norm",
      .name = format("{} groups of {} rows, width {}", n, groups.rows(), width),
      .inputs = with_parameters({random({groups.rows(), width}, 72)}, width, n),
      .run = with(grouped_layer_norm),
      .reference = with([](const Tensor& x, const RowGroups& g, auto gamma, auto beta, double eps) {
        return reference::grouped_norm(reference::exact(x), g, gamma, beta, eps);
      }),
      .composed = with(composed::grouped_layer_norm),
      .parameters = 1,
      .length = 4 * width};
}

/// Which of the two results are looked at.
enum class Only { both, sum, norm };

template <class T>
std::vector<T> kept(Only only, const T& sum, const T& norm) {
  if (only == Only::sum) return {sum};
  if (only == Only::norm) return {norm};
  return {sum, norm};
}

OpCase residual(const char* name, std::vector<int64_t> ends, bool scaled, int64_t width = 6,
                Only only = Only::both) {
  const RowGroups groups{std::move(ends)};
  const size_t n = groups.size();
  const int64_t rows = groups.rows();
  const Shape shape{rows, width};
  auto with = [=](auto f) {
    return [=](const Tensors& in) {
      const auto all = std::span(in).subspan(3);
      return f(in[0], in[1], in[2], groups, all.first(n), all.last(n), kEps);
    };
  };
  auto run = with(add_layer_norm), by_ops = with(composed::add_layer_norm);
  return {
      .op = "add_layer_norm",
      .name = format("{}, {}", name, shape),
      .inputs = with_parameters(
          {random(shape, 73), random(shape, 74), scaled ? random({rows}, 75) : Tensor()}, width, n),
      .run =
          [=](const Tensors& in) {
            const SumAndNorm y = run(in);
            return kept(only, y.sum, y.norm);
          },
      .reference =
          [=](const Tensors& in) {
            const auto all = std::span(in).subspan(3);
            const Grid sum = Grid::of(in[0].shape(), [&](const auto& at) {
              Rounded delta = element(in[1], at);
              if (in[2].defined()) delta = delta * element(in[2], {at[0]});
              return element(in[0], at) + delta;
            });
            return kept(only, sum,
                        reference::grouped_norm(sum, groups, all.first(n), all.last(n), kEps));
          },
      .composed =
          [=](const Tensors& in) {
            const SumAndNorm y = by_ops(in);
            return kept(only, y.sum, y.norm);
          },
      .parameters = 2,
      .several = true,  // the norm is of the sum as it was rounded
      .length = 4 * width};
}

/// The sum alone: the parameters do not matter to it, so they are no inputs.
OpCase sum_alone() {
  OpCase c = residual("sum alone", {4}, true, 6, Only::sum);
  const CaseFunction whole = c.run;
  const Reference loops = c.reference;
  const Tensors parameters = with_parameters({}, 6, 1);
  c.inputs.resize(3);
  c.several = false;
  auto completed = [parameters](const Tensors& in) {
    const DType dtype = in[0].dtype() == DType::bf16 ? DType::f32 : in[0].dtype();
    Tensors all = in;
    for (const Tensor& p : parameters) all.push_back(p.to(dtype));
    return all;
  };
  c.run = [=](const Tensors& in) { return whole(completed(in)); };
  c.reference = [=](const Tensors& in) { return loops(completed(in)); };
  c.composed = [](const Tensors& in) { return in[0] + in[1] * reshape(in[2], {4, 1}); };
  return c;
}

}  // namespace

std::vector<OpCase> layer_norm_cases() {
  std::vector<OpCase> all;
  for (const Shape& shape : {Shape{9}, Shape{3, 8}, Shape{2, 2, 5}, Shape{2, 33}, Shape{4, 1},
                             Shape{1, 16}, Shape{3, 40}, Shape{0, 3}}) {
    all.push_back(norm(shape));
  }
  all.push_back(grouped({2, 5}, 6));
  all.push_back(grouped({0, 3, 3, 4}, 5));
  all.push_back(grouped({1, 2}, 17));
  all.push_back(residual("plain", {4}, false));
  all.push_back(residual("scaled", {1, 4}, true));
  all.push_back(residual("scaled", {3}, true, 33));
  all.push_back(residual("norm alone", {4}, true, 6, Only::norm));
  all.push_back(sum_alone());
  return all;
}

TEST(LayerNorm, FourthDerivativeIsThatOfTheComposition) {
  const OpCase c = norm({2, 4});
  const Tensors actual = derivatives(c.run, c.inputs, 4),
                expected = derivatives(c.composed, c.inputs, 4);
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
