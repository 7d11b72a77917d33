// Values: parity with plain loops, layouts, tracking.

#include "tests/testing/op_test.h"

#include <algorithm>
#include <cmath>

#include "autograd/autograd.h"

namespace tessera::testing {
namespace {

double largest(const Tensor& x) {
  double most = 0;
  for (double v : x.to_vector<double>()) {
    if (std::isfinite(v)) most = std::max(most, std::fabs(v));
  }
  return most;
}

/// What an element may be off by: the rounding of the computation, and that of storing it.
double allowed(const Rounded& e, DType in, DType out, const OpCase& c) {
  if (e.error == 0 || !is_floating(out)) return 0;
  const DType computing = is_16_bit(in) && !c.several ? DType::f32 : in;
  // The reference is computed in f64 itself.
  const double own = epsilon_of(DType::f64) * e.error;
  const double stored = is_16_bit(out) ? epsilon_of(out) / 2 * std::fabs(e.value) : 0;
  return epsilon_of(computing) * e.error + own + stored;
}

}  // namespace

std::vector<GeneratedCase> forward_cases(const OpEntry& entry) {
  std::vector<GeneratedCase> all;
  for (const OpCase& c : entry.samples) {
    for (DType dtype : c.dtypes) {
      for (Variant& v : variants(c, dtype)) all.push_back({&c, dtype, std::move(v)});
    }
  }
  return all;
}

std::vector<GeneratedCase> gradient_cases(const OpEntry& entry) {
  std::vector<GeneratedCase> all;
  for (const OpCase& c : entry.samples) {
    if (!c.differentiable || is_empty(c)) continue;
    for (Variant& v : variants(c)) all.push_back({&c, DType::f64, std::move(v)});
  }
  return all;
}

std::vector<GeneratedCase> higher_cases(const OpEntry& entry) {
  std::vector<GeneratedCase> all;
  for (GeneratedCase& g : gradient_cases(entry)) {
    if (g.variant.uniform) all.push_back(std::move(g));
  }
  return all;
}

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

double derivative_bound(DType dtype, const OpCase& c, const Tensor& expected) {
  return 4 * tolerance(dtype, c.length, 1 + largest(expected));
}

std::string difference(const Tensor& actual, const Grid& expected, DType dtype, const OpCase& c) {
  if (!(actual.shape() == expected.shape)) {
    return format("the shape is {}, expected {}", actual.shape(), expected.shape);
  }
  const std::vector<double> found = actual.to_vector<double>();
  for (size_t i = 0; i < found.size(); ++i) {
    const Rounded& e = expected.elements[i];
    if (found[i] == e.value || (std::isnan(found[i]) && std::isnan(e.value))) continue;
    const double bound = allowed(e, dtype, actual.dtype(), c);
    if (std::fabs(found[i] - e.value) <= bound) continue;
    return format("element {} is {}, expected {} within {}", i, found[i], e.value, bound);
  }
  return "";
}

TEST_P(OpTest, ValuesAreThoseOfPlainLoops) {
  const OpCase* sample = nullptr;
  DType dtype{};
  Grids shared;  // of all layouts that have the same elements
  for (const GeneratedCase& g : forward_cases(GetParam())) {
    if (g.sample != sample || g.dtype != dtype) {
      sample = g.sample;
      dtype = g.dtype;
      shared = g.sample->reference(inputs_as(*g.sample, dtype));
    }
    const Grids expected = g.variant.expanded ? g.sample->reference(g.variant.inputs) : shared;
    const auto before = stored_bytes(g.variant.inputs);
    const Tensors ys = g.sample->run(g.variant.inputs);
    ASSERT_EQ(before, stored_bytes(g.variant.inputs)) << g.name() << " changed its inputs";
    ASSERT_EQ(ys.size(), expected.size()) << g.name();
    for (size_t i = 0; i < ys.size(); ++i) {
      ASSERT_EQ(difference(ys[i], expected[i], dtype, *g.sample), "")
          << g.name() << ", result " << i;
    }
  }
}

TEST_P(OpTest, LayoutsGiveTheSameBits) {
  const OpCase* sample = nullptr;
  std::vector<std::vector<std::byte>> values, slopes;
  for (const GeneratedCase& g : forward_cases(GetParam())) {
    if (g.variant.expanded || g.dtype == DType::i32 || g.dtype == DType::u8) continue;
    if (g.variant.name.starts_with("contiguous") && g.variant.uniform) {
      sample = g.sample;
      values = element_bytes(g.sample->run(g.variant.inputs));
      if (derived(g)) slopes = element_bytes(derivatives(g.sample->run, g.variant.inputs, 1));
      continue;
    }
    ASSERT_EQ(sample, g.sample) << "the contiguous layout comes first";
    ASSERT_EQ(values, element_bytes(g.sample->run(g.variant.inputs))) << g.name();
    if (!derived(g)) continue;
    ASSERT_EQ(slopes, element_bytes(derivatives(g.sample->run, g.variant.inputs, 1)))
        << g.name() << ", derivative";
  }
}

TEST_P(OpTest, TrackedInTrackedOut) {
  for (const OpCase& c : GetParam().samples) {
    for (const Tensor& y : c.run(c.inputs)) EXPECT_FALSE(y.tracked()) << c.full_name();
    if (!c.differentiable) continue;
    for (const Tensor& y : c.run(leaves_of(c.inputs))) {
      EXPECT_EQ(y.tracked(), floating(y)) << c.full_name();
    }
    // Any one of them suffices.
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      if (!floating(c.inputs[i])) continue;
      Tensors some = c.inputs;
      some[i] = requires_grad(some[i].detach());
      bool any = false;
      for (const Tensor& y : c.run(some)) any |= y.tracked();
      EXPECT_TRUE(any) << c.full_name() << ", input " << i;
      const NoGrad silent;
      for (const Tensor& y : c.run(some)) {
        EXPECT_TRUE(!y.tracked() || y.is(some[i]))
            << c.full_name() << ", input " << i << " without recording";
      }
    }
  }
}

TEST_P(OpTest, RefusesWithTheExactText) {
  for (const Rejection& r : GetParam().rejected) {
    try {
      r.call();
      ADD_FAILURE() << r.op << " accepts what it should refuse with: " << r.text;
    } catch (const std::exception& error) {
      EXPECT_STREQ(error.what(), r.text.c_str());
      EXPECT_TRUE(std::type_index(typeid(error)) == r.error)
          << "thrown: " << typeid(error).name() << ", expected: " << r.error.name() << " ("
          << r.text << ")";
    }
  }
}

}  // namespace tessera::testing
