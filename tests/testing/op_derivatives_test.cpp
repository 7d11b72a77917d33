// Derivatives: against differences, the composition, f64, and each other.

#include <cmath>

#include "autograd/autograd.h"
#include "autograd/gradcheck.h"
#include "tests/testing/op_test.h"

namespace tessera::testing {
namespace {

void check_by_differences(const std::vector<GeneratedCase>& cases, int order,
                          int64_t max_elements) {
  uint64_t seed = 0;
  for (const GeneratedCase& g : cases) {
    const GradcheckReport report =
        gradcheck([&](const Tensors& in) { return g.sample->run(in); }, g.variant.inputs,
                  {.order = order, .key = RandomKey{++seed}, .max_elements = max_elements});
    ASSERT_TRUE(report.ok) << g.name() << ": " << report.message;
    ASSERT_GT(report.cases, 0) << g.name();
  }
}

/// Gradients of all floating inputs of `c` in f32, and in f64 at the same elements with the same
/// weights.
std::pair<Tensors, Tensors> narrow_and_wide(const OpCase& c) {
  const Tensors narrow = leaves_of(inputs_as(c, DType::f32));
  Tensors wide = narrow;
  for (Tensor& x : wide) {
    if (floating(x)) x = requires_grad(x.detach().to(DType::f64));
  }
  const Tensors yn = c.run(narrow), yw = c.run(wide), v = weights_of(yn, 1);
  std::pair<Tensors, Tensors> found;
  for (size_t i = 0; i < yn.size(); ++i) {
    if (!v[i].defined()) continue;
    backward(yn[i], {.gradient = v[i], .retain_graph = true});
    backward(yw[i], {.gradient = v[i].to(yw[i].dtype()), .retain_graph = true});
  }
  for (size_t i = 0; i < narrow.size(); ++i) {
    if (!floating(narrow[i])) continue;
    found.first.push_back(narrow[i].grad());
    found.second.push_back(wide[i].grad());
  }
  return found;
}

}  // namespace

TEST_P(OpTest, FirstDerivativesAgreeWithDifferences) {
  check_by_differences(gradient_cases(GetParam()), 1, 4);
}

TEST_P(OpTest, SecondDerivativesAgreeWithDifferences) {
  check_by_differences(higher_cases(GetParam()), 2, 3);
}

TEST_P(OpTest, ThreeOrdersAreThoseOfTheComposition) {
  for (const GeneratedCase& g : higher_cases(GetParam())) {
    const OpCase& c = *g.sample;
    if (!c.composed) continue;
    for (int order = 1; order <= 3; ++order) {
      const Tensors expected = derivatives(c.composed, g.variant.inputs, order);
      // The last derivative by kernels, then by the exact half.
      for (bool record_last : {false, true}) {
        const Tensors actual = derivatives(c.run, g.variant.inputs, order, record_last);
        ASSERT_EQ(actual.size(), expected.size()) << g.name();
        for (size_t i = 0; i < actual.size(); ++i) {
          ASSERT_NO_FATAL_FAILURE(
              expect_close(actual[i], expected[i],
                           std::pow(8.0, order) * derivative_bound(DType::f64, c, expected[i]),
                           format("{}, order {}, input {}, last recorded: {}", g.name(), order, i,
                                  record_last)));
        }
      }
    }
  }
}

TEST_P(OpTest, NarrowDerivativesAreThoseOfF64) {
  for (const OpCase& c : GetParam().samples) {
    if (!c.differentiable || c.narrow_differs) continue;
    const auto [narrow, wide] = narrow_and_wide(c);
    for (size_t i = 0; i < narrow.size(); ++i) {
      const std::string what = format("{}, derivative {}", c.full_name(), i);
      ASSERT_EQ(narrow[i].defined(), wide[i].defined()) << what;
      if (!narrow[i].defined()) continue;
      EXPECT_EQ(narrow[i].dtype(), DType::f32) << what;
      ASSERT_NO_FATAL_FAILURE(
          expect_close(narrow[i], wide[i], 4 * derivative_bound(DType::f32, c, wide[i]), what));
    }
  }
}

TEST_P(OpTest, EachDerivativeAloneIsTheSame) {
  for (const OpCase& c : GetParam().samples) {
    if (!c.differentiable) continue;
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
        ASSERT_NO_FATAL_FAILURE(
            expect_close(found[0], together[next], derivative_bound(DType::f64, c, together[next]),
                         format("{}, input {} alone, recorded: {}", c.full_name(), i, recorded)));
      }
      ++next;
    }
  }
}

TEST_P(OpTest, DerivativesHaveTheShapesOfTheirInputs) {
  for (const OpCase& c : GetParam().samples) {
    if (!c.differentiable) continue;
    for (bool recorded : {false, true}) {
      const Tensors found = derivatives(c.run, c.inputs, 1, recorded);
      size_t next = 0;
      for (const Tensor& x : c.inputs) {
        if (!floating(x)) continue;
        EXPECT_EQ(to_string(found[next++].shape()), to_string(x.shape())) << c.full_name();
      }
    }
  }
}

}  // namespace tessera::testing
