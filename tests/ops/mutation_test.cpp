// The checks themselves: each must fail on what it is there to find.

#include "autograd/autograd.h"
#include "autograd/custom_op.h"
#include "autograd/gradcheck.h"
#include "backends/cpu/caching_allocator.h"
#include "backends/registry.h"
#include "tests/ops/op_table.h"
#include "tests/testing/op_test.h"

namespace tessera::testing {
namespace {

/// The op of a sample with its own derivatives, changed by `spoil`.
CustomOp with_rule(const OpCase& c, Tensor (*spoil)(const Tensor& derivative)) {
  return {"mutant of " + c.full_name(), c.run,
          [&c, spoil](const Tensors& in, const Tensors&, const Tensors& g) {
            Tensors found = vjp(c.run, in, g);
            for (size_t i = 0; i < in.size(); ++i) {
              if (!floating(in[i])) continue;
              if (!found[i].defined()) found[i] = zeros(in[i].shape(), in[i].options());
              found[i] = spoil(found[i]);
            }
            return found;
          }};
}

/// Calls f with every sample that gradients are checked of.
void for_each_sample(const std::function<void(const OpCase&)>& f) {
  for (const OpEntry& entry : op_table()) {
    for (const OpCase& c : entry.samples) {
      if (c.differentiable && !is_empty(c)) f(c);
    }
  }
}

Tensor unchanged(const Tensor& x) { return x; }
Tensor off_by_a_millionth(const Tensor& x) { return x + 1e-6; }
Tensor cut(const Tensor& x) { return x.detach(); }

TEST(Mutation, ADerivativeOffByAMillionthIsFoundInEverySample) {
  int64_t found = 0;
  for_each_sample([&](const OpCase& c) {
    const CustomOp right = with_rule(c, unchanged), wrong = with_rule(c, off_by_a_millionth);
    auto report = [&](const CustomOp& op) {
      return gradcheck([&](const Tensors& in) { return apply(op, in); }, c.inputs,
                       {.max_elements = 2});
    };
    const GradcheckReport accepted = report(right);
    EXPECT_TRUE(accepted.ok) << right.name << ": " << accepted.message;
    EXPECT_FALSE(report(wrong).ok) << wrong.name;
    ++found;
  });
  EXPECT_GT(found, 1000);
}

/// A first derivative that is right, but a constant, as if a kernel had cut the graph.
TEST(Mutation, ASecondDerivativeThatIsCutIsFound) {
  for (const char* name : {"exp", "mul", "softmax", "layer_norm", "segmented_attention",
                           "linear_cross_entropy_rows", "matmul", "var"}) {
    const auto entry = std::find_if(op_table().begin(), op_table().end(),
                                    [&](const OpEntry& e) { return e.name == name; });
    ASSERT_NE(entry, op_table().end()) << name;
    const OpCase& c = entry->samples[1];
    const CustomOp op = with_rule(c, cut);
    auto f = [&](const Tensors& in) { return apply(op, in); };
    EXPECT_TRUE(gradcheck(f, c.inputs, {.max_elements = 3}).ok) << op.name;
    EXPECT_FALSE(gradcheck(f, c.inputs, {.order = 2, .max_elements = 3}).ok) << op.name;
  }
}

TEST(Mutation, AValueOffByMoreThanItsBoundIsFound) {
  int64_t found = 0;
  for_each_sample([&](const OpCase& c) {
    const Grids expected = c.reference(c.inputs);
    const Tensors ys = c.run(c.inputs);
    for (size_t i = 0; i < ys.size(); ++i) {
      EXPECT_EQ(difference(ys[i], expected[i], DType::f64, c), "") << c.full_name();
      // A relative error of 1e-11: the bounds are far below it.
      const Tensor wrong =
          where(equal(ys[i], 0.0), full({}, 1e-11, {DType::f64}), ys[i] * (1 + 1e-11));
      EXPECT_NE(difference(wrong, expected[i], DType::f64, c), "") << c.full_name();
      ++found;
    }
  });
  EXPECT_GT(found, 1000);
}

TEST(Mutation, AReadOfFreshMemoryShows) {
  if (backend(kCpu).name() != "cpu") GTEST_SKIP() << "the plain backend always hands out NaN";
  auto read = [](int pattern) {
    cpu_allocator().fill_fresh(pattern);
    const auto bytes = element_bytes({empty({3}) * 2.0});
    cpu_allocator().fill_fresh(0xFF);
    return bytes;
  };
  EXPECT_NE(read(0xFF), read(0x3C));
}

}  // namespace
}  // namespace tessera::testing
