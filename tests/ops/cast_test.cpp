#include "tensor/ops/cast.h"

#include "autograd/autograd.h"
#include "tests/ops/all_cases.h"
#include "tests/testing/op_test.h"
#include "tests/testing/tensors.h"

namespace tessera::testing {

std::vector<OpCase> cast_cases() {
  const CaseFunction same = [](const Tensors& in) {
    return from_data(in[0].to_vector<double>(), in[0].shape());
  };
  return {{.name = "clone",
           .inputs = {random({3, 4}, 1)},
           .run = [](const Tensors& in) { return clone(in[0]); },
           .expected = same,
           .empty = {zeros({0, 4}, {DType::f64})}},
          {.name = "contiguous",
           .inputs = {random({3, 4}, 1)},
           .run = [](const Tensors& in) { return transpose(transpose(in[0]).contiguous()); },
           .expected = same}};
}

INSTANTIATE_TEST_SUITE_P(Cast, OpTest, ::testing::ValuesIn(cast_cases()), case_name);

TEST(Cast, GradientsHaveTheDTypeOfTheirInput) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    const Tensor x = requires_grad(from_values({1, -2}, {dtype}));
    const Tensor y = x.to(DType::f32) * 3.0 + x.to(DType::f64).to(DType::f32);
    backward(sum(y));
    EXPECT_EQ(x.grad().dtype(), dtype);
    expect_values(x.grad(), {2}, {4, 4});
  }
}

TEST(Cast, SixteenBitGradientsAreThoseOfF32Rounded) {
  const Tensor x = random({5, 8}, 1, DType::bf16), gamma = random({8}, 2, DType::f32),
               beta = random({8}, 3, DType::f32);
  auto gradients = [&](DType dtype) {
    const Tensor leaf = requires_grad(x.to(dtype).detach());
    const Tensor g = requires_grad(gamma.detach()), b = requires_grad(beta.detach());
    backward(softmax(gelu(layer_norm(leaf, g, b))), {.gradient = x.to(dtype)});
    return Tensors{leaf.grad(), g.grad(), b.grad()};
  };
  const Tensors half = gradients(DType::bf16), full = gradients(DType::f32);
  EXPECT_EQ(half[0].dtype(), DType::bf16);
  EXPECT_EQ(half[1].dtype(), DType::f32);
  for (size_t i = 0; i < half.size(); ++i) {
    double most = 0;
    for (double v : full[i].to_vector<double>()) most = std::max(most, std::abs(v));
    expect_close(half[i], full[i], tolerance(DType::bf16, 5, most));
  }
}

TEST(Cast, IntegersCutTheGraph) {
  const Tensor x = requires_grad(from_values({1.5, -2}));
  EXPECT_FALSE(x.to(DType::i64).tracked());
  EXPECT_FALSE((x > 0.0).to(DType::f32).tracked());
}

TEST(Cast, SecondDerivativeThroughACast) {
  const Tensor x = requires_grad(from_values({3}));
  const Tensor y = x.to(DType::f64);
  const Tensor g =
      grad(y * y * y, {x}, {.gradients = {ones({1}, {DType::f64})}, .create_graph = true})[0];
  expect_values(g, {1}, {27});
  expect_values(grad(g, {x})[0], {1}, {18});
}

}  // namespace tessera::testing
