#include "tests/testing/op_test.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "autograd/autograd.h"
#include "autograd/gradcheck.h"
#include "tests/testing/tensors.h"

namespace tessera::testing {
namespace {

bool floating(const Tensor& x) { return x.defined() && is_floating(x.dtype()); }

double largest(const Tensor& x) {
  double most = 0;
  for (double v : x.to_vector<double>()) {
    if (std::isfinite(v)) most = std::max(most, std::fabs(v));
  }
  return most;
}

/// Rounding of sums of `length` terms as large as the result, several deep.
double bound(DType dtype, const OpCase& c, const Tensor& expected) {
  return 4 * tolerance(dtype, c.length, 1 + largest(expected));
}

void expect_all_close(const Tensors& actual, const Tensors& expected, DType dtype, const OpCase& c,
                      const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (size_t i = 0; i < actual.size(); ++i) {
    const std::string which = format("{}, result {}", what, i);
    if (floating(expected[i])) {
      expect_close(actual[i], expected[i], bound(dtype, c, expected[i]), which);
    } else {
      expect_equal(actual[i], expected[i], which);
    }
  }
}

std::vector<std::byte> bytes_of(const Tensor& x) {
  const Tensor dense = x.detach().contiguous();
  std::vector<std::byte> all(dense.bytes());
  if (!all.empty()) std::memcpy(all.data(), dense.view().data, all.size());
  return all;
}

Tensors converted(const Tensors& xs, DType dtype) {
  Tensors all = xs;
  for (Tensor& x : all) {
    if (floating(x)) x = x.to(dtype);
  }
  return all;
}

struct Variant {
  std::string name;
  Tensors inputs;
};

/// All inputs laid out in each of the ways that a layout exists for.
std::vector<Variant> variants(const Tensors& inputs) {
  std::vector<Variant> all;
  for (const char* name : {"transposed", "reversed axes", "cut out", "every other"}) {
    Variant v{name, inputs};
    for (Tensor& x : v.inputs) {
      if (!floating(x)) continue;
      for (auto& [layout, tensor] : layouts(x)) {
        if (layout == name) x = tensor;
      }
    }
    all.push_back(std::move(v));
  }
  return all;
}

}  // namespace

Tensors leaves_of(const Tensors& xs) {
  Tensors leaves = xs;
  for (Tensor& x : leaves) {
    if (floating(x)) x = requires_grad(x.detach());
  }
  return leaves;
}

Tensors weights_of(const Tensors& ys, uint64_t seed) {
  Tensors weights;
  for (const Tensor& y : ys) {
    ++seed;
    weights.push_back(floating(y) ? random(y.shape(), seed, y.dtype()) : Tensor());
  }
  return weights;
}

Tensors derivatives(const CaseFunction& f, const Tensors& inputs, int order, bool record_last) {
  const Tensors leaves = leaves_of(inputs);
  Tensors targets;
  for (const Tensor& x : leaves) {
    if (floating(x)) targets.push_back(x);
  }
  Tensors values = f(leaves);
  for (int k = 1; k <= order; ++k) {
    Tensors ys;
    for (const Tensor& y : values) {
      if (floating(y)) ys.push_back(y);
    }
    values = grad(std::span<const Tensor>(ys), targets,
                  {.gradients = weights_of(ys, 100 * static_cast<uint64_t>(k)),
                   .create_graph = k < order || record_last});
  }
  return values;
}

TEST_P(OpTest, Value) {
  const OpCase& c = GetParam();
  expect_all_close(c.run(c.inputs), c.expected(c.inputs), DType::f64, c, "f64");
}

TEST_P(OpTest, NarrowValueAndDerivative) {
  const OpCase& c = GetParam();
  if (!c.narrow) return;
  const Tensors narrow = converted(c.inputs, DType::f32), wide = converted(narrow, DType::f64);
  expect_all_close(c.run(narrow), c.run(wide), DType::f32, c, "f32");
  // Both with the weights of f32.
  const Tensors ln = leaves_of(narrow), lw = leaves_of(wide);
  const Tensors yn = c.run(ln), yw = c.run(lw);
  const Tensors v = weights_of(yn, 1);
  for (size_t i = 0; i < yn.size(); ++i) {
    if (!v[i].defined()) continue;
    backward(yn[i], {.gradient = v[i], .retain_graph = true});
    backward(yw[i], {.gradient = v[i].to(DType::f64), .retain_graph = true});
  }
  for (size_t i = 0; i < ln.size(); ++i) {
    if (!floating(ln[i])) continue;
    ASSERT_EQ(ln[i].grad().defined(), lw[i].grad().defined());
    if (!ln[i].grad().defined()) continue;
    EXPECT_EQ(ln[i].grad().dtype(), DType::f32);
    const double b = 4 * bound(DType::f32, c, lw[i].grad());
    expect_close(ln[i].grad(), lw[i].grad(), b, format("f32 derivative by input {}", i));
  }
}

TEST_P(OpTest, DerivativesAgreeWithDifferences) {
  const OpCase& c = GetParam();
  const GradcheckReport report = gradcheck([&](const Tensors& in) { return c.run(in); }, c.inputs,
                                           {.order = 2, .max_elements = 40});
  EXPECT_TRUE(report.ok) << report.message;
  EXPECT_GT(report.cases, 0);
}

TEST_P(OpTest, DerivativesOfThreeOrdersAreThoseOfTheComposition) {
  const OpCase& c = GetParam();
  if (!c.composed) return;
  for (int order = 1; order <= 3; ++order) {
    const Tensors expected = derivatives(c.expected, c.inputs, order);
    // The last derivative by kernels, then by the exact half.
    for (bool record_last : {false, true}) {
      const Tensors actual = derivatives(c.run, c.inputs, order, record_last);
      ASSERT_EQ(actual.size(), expected.size());
      for (size_t i = 0; i < actual.size(); ++i) {
        expect_close(actual[i], expected[i],
                     std::pow(8.0, order) * bound(DType::f64, c, expected[i]),
                     format("order {}, input {}, last recorded: {}", order, i, record_last));
      }
    }
  }
}

TEST_P(OpTest, LayoutsDoNotMatter) {
  const OpCase& c = GetParam();
  const Tensors values = c.run(c.inputs), slopes = derivatives(c.run, c.inputs, 1);
  for (const Variant& v : variants(c.inputs)) {
    expect_all_close(c.run(v.inputs), values, DType::f64, c, v.name);
    expect_all_close(derivatives(c.run, v.inputs, 1), slopes, DType::f64, c,
                     v.name + ", derivative");
    expect_all_close(derivatives(c.run, v.inputs, 1, true), slopes, DType::f64, c,
                     v.name + ", recorded derivative");
  }
}

TEST_P(OpTest, ExpandedInputs) {
  const OpCase& c = GetParam();
  if (!c.expandable) return;
  Tensors expanded = c.inputs, dense = c.inputs;
  for (size_t i = 0; i < expanded.size(); ++i) {
    if (!floating(expanded[i]) || expanded[i].rank() == 0) continue;
    const Shape shape = expanded[i].shape();
    expanded[i] = expand(slice(expanded[i], 0, 0, 1), shape);
    dense[i] = clone(expanded[i]);
  }
  expect_all_close(c.run(expanded), c.run(dense), DType::f64, c, "expanded");
  expect_all_close(derivatives(c.run, expanded, 1), derivatives(c.run, dense, 1), DType::f64, c,
                   "expanded, derivative");
}

TEST_P(OpTest, EmptyAxis) {
  const OpCase& c = GetParam();
  if (c.empty.empty()) return;
  const Tensors leaves = leaves_of(c.empty);
  const Tensors ys = c.run(leaves), expected = c.expected(c.empty);
  expect_all_close(ys, expected, DType::f64, c, "empty");
  const Tensors found = derivatives(c.run, c.empty, 1);
  size_t next = 0;
  for (const Tensor& x : c.empty) {
    if (floating(x)) {
      EXPECT_EQ(to_string(found[next++].shape()), to_string(x.shape()));
    }
  }
}

TEST_P(OpTest, TrackedInTrackedOut) {
  const OpCase& c = GetParam();
  for (const Tensor& y : c.run(leaves_of(c.inputs))) EXPECT_EQ(y.tracked(), floating(y));
  for (const Tensor& y : c.run(c.inputs)) EXPECT_FALSE(y.tracked());
  // Any one of them suffices.
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (!floating(c.inputs[i])) continue;
    Tensors some = c.inputs;
    some[i] = requires_grad(some[i].detach());
    bool any = false;
    for (const Tensor& y : c.run(some)) any |= y.tracked();
    EXPECT_TRUE(any) << "input " << i;
    const NoGrad silent;
    for (const Tensor& y : c.run(some)) {
      EXPECT_TRUE(!y.tracked() || y.is(some[i])) << "input " << i << " without recording";
    }
  }
}

TEST_P(OpTest, EachDerivativeAloneIsTheSame) {
  const OpCase& c = GetParam();
  const Tensors together = derivatives(c.run, c.inputs, 1);
  size_t next = 0;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (!floating(c.inputs[i])) continue;
    for (bool recorded : {false, true}) {
      Tensors some = c.inputs, ys;
      some[i] = requires_grad(some[i].detach());
      for (const Tensor& y : c.run(some)) {
        if (floating(y)) ys.push_back(y);
      }
      const Tensors found = grad(std::span<const Tensor>(ys), Tensors{some[i]},
                                 {.gradients = weights_of(ys, 100), .create_graph = recorded});
      expect_close(found[0], together[next], bound(DType::f64, c, together[next]),
                   format("input {} alone, recorded: {}", i, recorded));
    }
    ++next;
  }
}

TEST_P(OpTest, InputsStayAndBitsRepeat) {
  const OpCase& c = GetParam();
  std::vector<std::vector<std::byte>> before;
  for (const Tensor& x : c.inputs) {
    before.push_back(x.defined() ? bytes_of(x) : std::vector<std::byte>());
  }
  const Tensors first = c.run(c.inputs), second = c.run(c.inputs);
  for (size_t i = 0; i < first.size(); ++i) EXPECT_EQ(bytes_of(first[i]), bytes_of(second[i]));
  const Tensors slope = derivatives(c.run, c.inputs, 1), again = derivatives(c.run, c.inputs, 1);
  for (size_t i = 0; i < slope.size(); ++i) EXPECT_EQ(bytes_of(slope[i]), bytes_of(again[i]));
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.inputs[i].defined()) continue;
    EXPECT_EQ(before[i], bytes_of(c.inputs[i])) << "input " << i;
  }
}

}  // namespace tessera::testing
