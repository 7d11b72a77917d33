#include "tensor/ops/reduce.h"

#include "autograd/autograd.h"
#include "tests/ops/op_table.h"
#include "tests/testing/points.h"
#include "tests/testing/reference.h"

namespace tessera::testing {
namespace {

using reference::Row;

Rounded largest(const Row& row) {
  Rounded y = row[0];
  for (const Rounded& x : row) y = max(y, x);
  return y;
}
Rounded smallest(const Row& row) {
  Rounded y = row[0];
  for (const Rounded& x : row) y = min(y, x);
  return y;
}
Rounded sum_of(const Row& row) { return total(row); }

std::vector<int> counted(const Axes& axes, int rank) {
  std::vector<int> all;
  for (int64_t a : axes) all.push_back(static_cast<int>(a < 0 ? a + rank : a));
  if (axes.empty()) {
    for (int i = 0; i < rank; ++i) all.push_back(i);
  }
  return all;
}

/// The shape without the folded axes.
Shape dropped(const Shape& kept, const std::vector<int>& axes) {
  Shape y;
  for (int i = 0; i < kept.rank(); ++i) {
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) y.push_back(kept[i]);
  }
  return y;
}

struct Reduction {
  const char* name;
  Tensor (*op)(const Tensor&, const Axes&, KeepDims);
  Rounded (*f)(const Row&);
  std::vector<DType> dtypes = kFloating;
  bool several = false;
  bool kinked = false;  // where elements are equal
  bool of_nothing = true;
};

const Reduction kReductions[] = {
    {"sum", sum, sum_of, kArithmetic},
    {"mean", mean, reference::mean, kFloating, true, false, false},
    {"var", var, reference::variance, kFloating, true, false, false},
    {"logsumexp", logsumexp, reference::log_sum_exp, kFloating, false, false, false},
    {"max", max, largest, kArithmetic, false, true, false},
    {"min", min, smallest, kArithmetic, false, true, false},
};

struct Sample {
  Shape shape;
  Axes axes;
};

const Sample kSamples[] = {
    {{3, 4, 5}, {}},     {{3, 4, 5}, {0}}, {{3, 4, 5}, {-1}},
    {{3, 4, 5}, {0, 2}}, {{3, 4, 5}, {1}}, {{3, 4, 5}, {1, 2}},
    {{7}, {}},           {{40}, {0}},      {{2, 33}, {0}},
    {{2, 33}, {1}},      {{1, 6}, {0}},    {{6, 1}, {1}},
    {{2, 3, 2, 2}, {1}}, {{}, {}},         {{2, 3, 2, 2}, {0, 3}},
    {{2, 0, 3}, {0}},
};
const Sample kOfNothing[] = {{{0, 4}, {0}}, {{2, 0, 3}, {1}}, {{0}, {}}};

OpCase reduced(const Reduction& r, const Sample& s, bool keep) {
  const Axes axes = s.axes;
  const std::vector<int> folded_axes = counted(axes, s.shape.rank());
  const KeepDims keep_dims = keep ? KeepDims::yes : KeepDims::no;
  return {.op = r.name,
          .name = format("{} over {}{}", s.shape, axes, keep ? ", kept" : ""),
          .inputs = {r.kinked ? apart(s.shape, 7) : random(s.shape, 7)},
          .run = [=, op = r.op](const Tensors& in) { return op(in[0], axes, keep_dims); },
          .reference =
              [=, f = r.f](const Tensors& in) {
                Grid y = reference::folded(in[0], folded_axes, f);
                if (!keep) y.shape = dropped(y.shape, folded_axes);
                return y;
              },
          .dtypes = r.dtypes,
          .several = r.several,
          .expandable = !r.kinked,
          .length = 60};
}

OpCase first_largest(const Shape& shape, int axis) {
  return {.op = "argmax",
          .name = format("{} along {}", shape, axis),
          .inputs = {apart(shape, 8)},
          .run = [=](const Tensors& in) { return argmax(in[0], axis); },
          .reference =
              [=](const Tensors& in) {
                Grid y = reference::folded(in[0], {axis}, [](const Row& row) {
                  size_t best = 0;
                  for (size_t i = 1; i < row.size(); ++i) {
                    if (row[i].value > row[best].value) best = i;
                  }
                  return Rounded(static_cast<double>(best));
                });
                y.shape = dropped(y.shape, {axis});
                return y;
              },
          .dtypes = kArithmetic,
          .differentiable = false};
}

OpCase summed_to(const Shape& from, const Shape& to) {
  return {.op = "sum_to",
          .name = format("{} to {}", from, to),
          .inputs = {random(from, 9)},
          .run = [to](const Tensors& in) { return sum_to(in[0], to); },
          .reference =
              [to](const Tensors& in) {
                std::vector<int> axes;
                const int added = in[0].rank() - to.rank();
                for (int i = 0; i < in[0].rank(); ++i) {
                  if (i < added || to[i - added] == 1) axes.push_back(i);
                }
                Grid y = reference::folded(in[0], axes, sum_of);
                y.shape = to;
                return y;
              },
          .dtypes = kArithmetic,
          .length = 60};
}

}  // namespace

std::vector<OpCase> reduce_cases() {
  std::vector<OpCase> all;
  for (const Reduction& r : kReductions) {
    for (const Sample& s : kSamples) {
      for (bool keep : {false, true}) all.push_back(reduced(r, s, keep));
    }
    if (!r.of_nothing) continue;
    for (const Sample& s : kOfNothing) all.push_back(reduced(r, s, true));
  }
  all.push_back(first_largest({3, 4, 5}, 1));
  all.push_back(first_largest({3, 40}, 1));
  all.push_back(first_largest({7}, 0));
  all.push_back(first_largest({4, 3}, 0));
  for (const Shape& to : {Shape{3, 4, 5}, Shape{5}, Shape{4, 1}, Shape{1, 1, 5}, Shape{}}) {
    all.push_back(summed_to({3, 4, 5}, to));
  }
  all.push_back(summed_to({0, 3}, {1, 3}));
  return all;
}

/// Sums that are cut into runs and pieces, in memory that suggests another order.
TEST(Reduce, LongSumsHaveTheSameBitsInEveryLayout) {
  const Sample samples[] = {{{70'000}, {}},     {{300, 300}, {}},    {{300, 300}, {0}},
                            {{300, 300}, {1}},  {{3, 20'000}, {0}},  {{3, 20'000}, {1}},
                            {{20'000, 3}, {0}}, {{40, 30, 50}, {1}}, {{40, 30, 50}, {0, 2}}};
  for (DType dtype : kFloating) {
    for (const Sample& s : samples) {
      const Tensor x = random(s.shape, 11, dtype);
      const Tensor expected = sum(x, s.axes);
      for (const auto& [name, laid] : layouts(x)) {
        expect_equal(sum(laid, s.axes), expected,
                     format("{} over {}, {}, {}", s.shape, s.axes, dtype, name));
      }
    }
  }
}

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
