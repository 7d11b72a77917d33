#include "tensor/ops/cast.h"

#include "autograd/autograd.h"
#include "tests/ops/op_table.h"
#include "tests/testing/reference.h"

namespace tessera::testing {

std::vector<OpCase> cast_cases() {
  const Reference same = [](const Tensors& in) { return reference::exact(in[0]); };
  std::vector<OpCase> all;
  for (const Shape& shape :
       {Shape{}, Shape{5}, Shape{3, 4}, Shape{2, 3, 4}, Shape{2, 1, 3, 2}, Shape{0, 4}}) {
    all.push_back({.op = "clone",
                   .name = to_string(shape),
                   .inputs = {random(shape, 1)},
                   .run = [](const Tensors& in) { return clone(in[0]); },
                   .reference = same,
                   .dtypes = kStored});
    if (shape.rank() < 2) continue;
    all.push_back(
        {.op = "contiguous",
         .name = to_string(shape),
         .inputs = {random(shape, 1)},
         .run = [](const Tensors& in) { return transpose(transpose(in[0]).contiguous()); },
         .reference = same,
         .dtypes = kStored});
  }
  // To another dtype and back: the values there must be the nearest ones.
  for (DType to : {DType::f32, DType::f64}) {
    all.push_back({.op = "to",
                   .name = format("{} and back", to),
                   .inputs = {random({3, 4}, 2).to(DType::f32).to(DType::f64)},
                   .run = [to](const Tensors& in) { return in[0].to(to).to(in[0].dtype()); },
                   .reference = same,
                   .dtypes = {DType::f64, DType::f32, DType::bf16, DType::f16},
                   .differentiable = false});  // its differences are those of f32
  }
  return all;
}

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
