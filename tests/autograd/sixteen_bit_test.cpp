#include <functional>
#include <string>

#include "autograd/autograd.h"
#include "tensor/ops/attention.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/gelu_layer_norm.h"
#include "tensor/ops/layer_norm.h"
#include "tensor/ops/softmax.h"
#include "tests/testing/tensors.h"

/// Fused ops of 16-bit activations: they compute in f32 and keep 16 bits.
namespace tessera::testing {
namespace {

constexpr int64_t kRows = 12, kWidth = 8, kClasses = 5;

struct FusedOp {
  std::string name;
  Shape x;
  std::function<Tensor(const Tensor& x, const Tensors& parameters)> f;
  Tensors parameters{};
};

std::vector<FusedOp> fused_ops() {
  const RowGroups groups{{5, kRows}};
  const Tensor labels =
      from_data(std::vector<int64_t>{0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1}, {kRows});
  const auto p = [](Shape shape, uint64_t seed) { return random(shape, seed, DType::f32); };
  const Tensors norm{p({kWidth}, 1), p({kWidth}, 2), p({kWidth}, 3), p({kWidth}, 4)};
  const Tensors linears{p({kClasses, kWidth}, 5), p({kClasses, kWidth}, 6), p({kClasses}, 7),
                        p({kClasses}, 8)};
  const auto pair = [](const Tensors& all, size_t i) { return std::span(all).subspan(i, 2); };
  return {
      {"linear",
       {3, 4, kWidth},
       [](const Tensor& x, const Tensors& w) { return linear(x, w[0], w[2]); },
       linears},
      {"grouped_linear",
       {kRows, kWidth},
       [=](const Tensor& x, const Tensors& w) {
         return grouped_linear(x, groups, pair(w, 0), pair(w, 2));
       },
       linears},
      {"layer_norm",
       {3, 4, kWidth},
       [](const Tensor& x, const Tensors& w) { return layer_norm(x, w[0], w[2]); },
       norm},
      {"grouped_layer_norm",
       {kRows, kWidth},
       [=](const Tensor& x, const Tensors& w) {
         return grouped_layer_norm(x, groups, pair(w, 0), pair(w, 2));
       },
       norm},
      {"gelu_layer_norm",
       {kRows, kWidth},
       [=](const Tensor& x, const Tensors& w) {
         return gelu_layer_norm(x, groups, pair(w, 0), pair(w, 2));
       },
       norm},
      {"segmented_attention",
       {kRows, 3, 2, 4},
       [](const Tensor& x, const Tensors&) {
         return segmented_attention(x, Segments::uniform(3, kRows / 3));
       }},
      {"softmax", {kRows, kWidth}, [](const Tensor& x, const Tensors&) { return softmax(x); }},
      {"gelu", {kRows, kWidth}, [](const Tensor& x, const Tensors&) { return gelu(x); }},
      {"cross_entropy_rows",
       {kRows, kWidth},
       [=](const Tensor& x, const Tensors&) { return cross_entropy_rows(x, labels).loss; }},
      {"linear_cross_entropy_rows",
       {kRows, kWidth},
       [=](const Tensor& x, const Tensors& w) {
         return linear_cross_entropy_rows(x, w[0], w[2], labels).loss;
       },
       linears},
  };
}

/// Value and gradients of an op, x taken as `dtype`.
struct Result {
  Tensor y;
  Tensors gradients;
};
Result result_of(const FusedOp& op, const Tensor& x, DType dtype) {
  Tensors leaves{requires_grad(x.detach().to(dtype))};
  for (const Tensor& p : op.parameters) leaves.push_back(requires_grad(p.detach()));
  const Tensor y = op.f(leaves[0], Tensors(leaves.begin() + 1, leaves.end()));
  const Tensor g = random(y.shape(), 9, DType::bf16).to(y.dtype());
  return {y.detach(), grad({y}, leaves, {.gradients = {g}})};
}

TEST(SixteenBit, FusedOpsAreTheirF32FormRoundedOnce) {
  for (const FusedOp& op : fused_ops()) {
    for (DType dtype : {DType::bf16, DType::f16}) {
      if (op.name == "gelu" && dtype == DType::f16) continue;  // f16 only stores
      const Tensor x = random(op.x, 10, DType::bf16).to(dtype).to(DType::f32);
      const Result narrow = result_of(op, x, dtype), wide = result_of(op, x, DType::f32);
      const std::string name = op.name + ", " + std::string(to_string(dtype));
      expect_equal(narrow.y, wide.y.to(narrow.y.dtype()), name);
      for (size_t i = 0; i < wide.gradients.size(); ++i) {
        const DType expected = i == 0 ? dtype : DType::f32;
        // Softmax's backward pass starts from its output, which was rounded.
        if (op.name == "softmax") {
          EXPECT_EQ(narrow.gradients[i].dtype(), expected);
          expect_close(narrow.gradients[i], wide.gradients[i], 8 * epsilon_of(dtype), name);
        } else if (op.name == "segmented_attention") {  // and so does part of attention's
          EXPECT_EQ(narrow.gradients[i].dtype(), expected);
          expect_close(narrow.gradients[i], wide.gradients[i], 32 * epsilon_of(dtype), name);
        } else {
          expect_equal(narrow.gradients[i], wide.gradients[i].to(expected),
                       name + ", gradient " + std::to_string(i));
        }
      }
    }
  }
}

TEST(SixteenBit, TheNormIsOfTheSumAsItIsKept) {
  const RowGroups groups{{kRows}};
  const Tensor x = random({kRows, kWidth}, 1, DType::bf16);
  const Tensor delta = random({kRows, kWidth}, 2, DType::bf16);
  const Tensors gamma{random({kWidth}, 3, DType::f32)}, beta{random({kWidth}, 4, DType::f32)};
  for (const Tensor& scale : {Tensor(), random({kRows}, 5, DType::f32)}) {
    const SumAndNorm both = add_layer_norm(x, delta, scale, groups, gamma, beta);
    Tensor added = delta.to(DType::f32);
    if (scale.defined()) added = added * reshape(scale, {kRows, 1});
    expect_equal(both.sum, (x.to(DType::f32) + added).to(DType::bf16));
    expect_equal(both.norm, layer_norm(both.sum, gamma[0], beta[0]));
  }
}

TEST(SixteenBit, GradientsAreRoundedWhereTheyArrive) {
  const RowGroups groups{{kRows}};
  const Tensor x = requires_grad(random({kRows, kWidth}, 1, DType::bf16));
  const Tensor delta = requires_grad(random({kRows, kWidth}, 2, DType::bf16));
  const Tensors gamma{random({kWidth}, 3, DType::f32)}, beta{random({kWidth}, 4, DType::f32)};
  const Tensor dsum = random({kRows, kWidth}, 5, DType::bf16);
  const Tensor dnorm = random({kRows, kWidth}, 6, DType::bf16);
  const SumAndNorm both = add_layer_norm(x, delta, {}, groups, gamma, beta);
  const Tensors sums{both.sum, both.norm}, leaves{x, delta};
  const Tensors found = grad(sums, leaves, {.gradients = {dsum, dnorm}});

  const Tensor sum = requires_grad(both.sum.detach().to(DType::f32));
  const Tensor expected =
      grad({layer_norm(sum, gamma[0], beta[0])}, {sum}, {.gradients = {dnorm.to(DType::f32)}})[0] +
      dsum.to(DType::f32);
  for (const Tensor& g : found) expect_equal(g, expected.to(DType::bf16));

  // By way of reshapes and a second use: three roundings fewer than if each step stored 16 bits.
  const Tensor y = reshape(reshape(x, {kRows * kWidth}), {kRows, kWidth});
  const Tensors uses{y, x};
  const Tensor twice = grad(uses, std::span(&x, 1), {.gradients = {dsum, dnorm}})[0];
  expect_equal(twice, (dsum.to(DType::f32) + dnorm.to(DType::f32)).to(DType::bf16));
}

/// Second derivatives go through the conversions.
TEST(SixteenBit, FusedOpsCanBeDifferentiatedTwice) {
  const auto twice = [](const FusedOp& op, const Tensor& x, DType dtype) {
    const Tensor leaf = requires_grad(x.to(dtype));
    const Tensor y = op.f(leaf, op.parameters).to(DType::f32);
    const Tensor first = grad({sum(y * y)}, {leaf}, {.create_graph = true})[0].to(DType::f32);
    return grad({sum(first * first)}, {leaf})[0];
  };
  for (const FusedOp& op : fused_ops()) {
    const Tensor x = random(op.x, 11, DType::bf16).to(DType::f32);
    const Tensor narrow = twice(op, x, DType::bf16), wide = twice(op, x, DType::f32);
    EXPECT_EQ(narrow.dtype(), DType::bf16);
    const Tensor off = narrow.to(DType::f32) - wide;
    const double share = sum(square(off)).item<double>() / sum(square(wide)).item<double>();
    EXPECT_LT(share, std::pow(8 * epsilon_of(DType::bf16), 2)) << op.name;
  }
}

/// A feed-forward network and attention, as in an encoder's layer.
TEST(SixteenBit, ActivationsAreKeptInHalfTheMemory) {
  constexpr int64_t kMany = 256, kC = 64;
  const auto kept_bytes = [](DType dtype) {
    const RowGroups groups{{kMany}};
    const auto p = [](Shape shape) { return Tensors{requires_grad(random(shape, 1, DType::f32))}; };
    const Tensors gamma = p({kC}), beta = p({kC}), wide_gamma = p({4 * kC}),
                  wide_beta = p({4 * kC});
    const Tensors qkv = p({3 * kC, kC}), fc1 = p({4 * kC, kC}), fc2 = p({kC, 4 * kC});
    const Tensor x = random({kMany, kC}, 2, dtype);
    Backend& memory = x.storage()->backend();
    const size_t before = memory.memory_stats().live_bytes;
    const Tensor y = [&] {
      const Tensor normed = grouped_layer_norm(x, groups, gamma, beta);
      const Tensor packed = reshape(grouped_linear(normed, groups, qkv, {}), {kMany, 3, 4, kC / 4});
      const Tensor context =
          reshape(segmented_attention(packed, Segments::uniform(4, kMany / 4)), {kMany, kC});
      const SumAndNorm both = add_layer_norm(x, context, {}, groups, gamma, beta);
      const Tensor inner = gelu_layer_norm(grouped_linear(both.norm, groups, fc1, {}), groups,
                                           wide_gamma, wide_beta);
      return grouped_linear(inner, groups, fc2, {});
    }();
    return memory.memory_stats().live_bytes - before;
  };
  // What is not a parameter's or a statistic's is halved; the statistics are f32.
  const double whole = static_cast<double>(kept_bytes(DType::f32));
  EXPECT_LT(static_cast<double>(kept_bytes(DType::bf16)), 0.55 * whole);
}

}  // namespace
}  // namespace tessera::testing
