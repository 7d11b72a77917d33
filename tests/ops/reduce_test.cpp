#include "tensor/ops/reduce.h"

#include <algorithm>
#include <limits>

#include "autograd/autograd.h"
#include "tests/ops/all_cases.h"
#include "tests/testing/op_test.h"
#include "tests/testing/tensors.h"

namespace tessera::testing {
namespace {

/// Folds x over `axes` (kept, with size 1) by plain loops.
Tensor folded(const Tensor& x, std::vector<int> axes, double start,
              const std::function<double(double, double)>& f) {
  Shape kept = x.shape();
  for (int axis : axes) kept[axis] = 1;
  std::vector<double> out(static_cast<size_t>(numel(kept)), start);
  const Strides strides = contiguous_strides(kept);
  for (const auto& at : positions(x.shape())) {
    int64_t place = 0;
    for (int i = 0; i < kept.rank(); ++i) {
      if (kept[i] != 1) place += at[static_cast<size_t>(i)] * strides[i];
    }
    double& y = out[static_cast<size_t>(place)];
    y = f(y, element(x, at));
  }
  return from_data(out, kept);
}

double plus(double a, double b) { return a + b; }

std::vector<int> counted(const Axes& axes, int rank) {
  std::vector<int> all;
  for (int64_t a : axes) all.push_back(static_cast<int>(a < 0 ? a + rank : a));
  if (axes.empty()) {
    for (int i = 0; i < rank; ++i) all.push_back(i);
  }
  return all;
}

}  // namespace

std::vector<OpCase> reduce_cases() {
  struct Where {
    const char* name;
    Axes axes;
  };
  std::vector<OpCase> all;
  const Tensor x = random({3, 4, 5}, 7);
  for (const Where& w : {Where{"all", {}}, Where{"first", {0}}, Where{"last", {-1}},
                         Where{"outer", {0, 2}}, Where{"middle", {1}}}) {
    const Axes axes = w.axes;
    auto add_case = [&](const char* name, CaseFunction run, CaseFunction expected, bool smooth) {
      all.push_back({.name = std::string(name) + "_" + w.name,
                     .inputs = {x},
                     .run = std::move(run),
                     .expected = std::move(expected),
                     .empty = smooth ? Tensors{zeros({0, 4, 5}, {DType::f64})} : Tensors{},
                     .expandable = smooth,
                     .length = 60});
    };
    auto total = [axes](const Tensor& t) { return folded(t, counted(axes, t.rank()), 0, plus); };
    auto count = [axes](const Tensor& t) {
      double n = 1;
      for (int axis : counted(axes, t.rank())) n *= static_cast<double>(t.shape()[axis]);
      return n;
    };
    add_case(
        "sum", [axes](const Tensors& in) { return sum(in[0], axes, KeepDims::yes); },
        [total](const Tensors& in) { return total(in[0]); }, true);
    add_case(
        "sum_dropped", [axes](const Tensors& in) { return sum(in[0], axes); },
        [axes, total](const Tensors& in) {
          return reshape(total(in[0]), sum(in[0], axes).shape());
        },
        true);
    add_case(
        "mean", [axes](const Tensors& in) { return mean(in[0], axes, KeepDims::yes); },
        [total, count](const Tensors& in) { return total(in[0]) * (1 / count(in[0])); }, true);
    add_case(
        "var", [axes](const Tensors& in) { return var(in[0], axes, KeepDims::yes); },
        [total, count](const Tensors& in) {
          const Tensor centred = in[0] - total(in[0]) * (1 / count(in[0]));
          return total(centred * centred) * (1 / count(in[0]));
        },
        true);
    add_case(
        "max", [axes](const Tensors& in) { return max(in[0], axes, KeepDims::yes); },
        [axes](const Tensors& in) {
          return folded(in[0], counted(axes, 3), -std::numeric_limits<double>::infinity(),
                        [](double a, double b) { return std::max(a, b); });
        },
        false);
    add_case(
        "min", [axes](const Tensors& in) { return min(in[0], axes); },
        [axes](const Tensors& in) {
          return reshape(folded(in[0], counted(axes, 3), std::numeric_limits<double>::infinity(),
                                [](double a, double b) { return std::min(a, b); }),
                         sum(in[0], axes).shape());
        },
        false);
    add_case(
        "logsumexp", [axes](const Tensors& in) { return logsumexp(in[0], axes, KeepDims::yes); },
        [total](const Tensors& in) { return log(total(exp(in[0]))); }, true);
  }
  for (const Shape& shape : {Shape{3, 4, 5}, Shape{5}, Shape{4, 1}, Shape{1, 1, 5}, Shape{}}) {
    all.push_back({.name = format("sum_to_rank_{}_of_{}", shape.rank(), numel(shape)),
                   .inputs = {x},
                   .run = [shape](const Tensors& in) { return sum_to(in[0], shape); },
                   .expected =
                       [shape](const Tensors& in) {
                         Shape kept = shape;
                         while (kept.rank() < 3) kept.insert(0, 1);
                         std::vector<int> axes;
                         for (int i = 0; i < 3; ++i) {
                           if (kept[i] == 1) axes.push_back(i);
                         }
                         return reshape(folded(in[0], axes, 0, plus), shape);
                       },
                   .length = 60});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Reduce, OpTest, ::testing::ValuesIn(reduce_cases()), case_name);

TEST(Reduce, ExtremeElementsThatAreEqualShareTheGradient) {
  const Tensor x = requires_grad(from_data(std::vector<float>{1, 3, 3, 0, 2, 0}, {2, 3}));
  backward(sum(max(x, {1}) * from_values({4, 5})));
  expect_values(x.grad(), {2, 3}, {0, 2, 2, 0, 5, 0});
  zero_grad(x);
  backward(min(x));
  expect_values(x.grad(), {2, 3}, {0, 0, 0, 0.5, 0, 0.5});
}

TEST(Reduce, LogSumExpOfHugeNumbersHasFiniteDerivatives) {
  const Tensor x = requires_grad(from_values({1e4, 1e4, -1e4}));
  backward(logsumexp(x));
  expect_values(x.grad(), {3}, {0.5, 0.5, 0});
}

}  // namespace tessera::testing
