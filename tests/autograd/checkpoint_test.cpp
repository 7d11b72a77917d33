#include "autograd/autograd.h"
#include "autograd/custom_op.h"
#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace tessera::testing {
namespace {

/// A block with parameters of its own and a mask: what a layer of a network is.
struct Block {
  Tensor w = requires_grad(random({6, 6}, 1)), b = requires_grad(random({6}, 2)),
         gamma = requires_grad(random({6}, 3)), beta = requires_grad(random({6}, 4)),
         x = requires_grad(random({5, 6}, 5));

  Tensors run(const Tensors& in) const {
    const Tensor h = gelu(linear(layer_norm(in[0], gamma, beta), w, b));
    return {in[0] + dropout(h, 0.2, RandomKey{9}), softmax(h)};
  }
  Tensors plain(const Tensor& in) const { return run({in}); }
  Tensors checkpointed(const Tensor& in) const {
    return checkpoint([this](const Tensors& t) { return run(t); }, {in});
  }
  Tensors leaves() const { return {x, w, b, gamma, beta}; }
};

Tensor loss_of(const Tensors& ys) { return sum(square(ys[0])) + sum(ys[1] * ys[0]); }

TEST(Checkpoint, HasTheSameBits) {
  const Block block;
  const Tensors plain = block.plain(block.x), again = block.checkpointed(block.x);
  for (size_t i = 0; i < plain.size(); ++i) expect_equal(again[i], plain[i]);
}

TEST(Checkpoint, HasTheSameGradients) {
  const Block block;
  const Tensors leaves = block.leaves();
  const Tensors expected = grad(loss_of(block.plain(block.x * 2.0)), leaves);
  const Tensors found = grad(loss_of(block.checkpointed(block.x * 2.0)), leaves);
  for (size_t i = 0; i < leaves.size(); ++i) expect_equal(found[i], expected[i]);
  backward(loss_of(block.checkpointed(block.x * 2.0)));
  for (size_t i = 0; i < leaves.size(); ++i) expect_equal(leaves[i].grad(), expected[i]);
}

TEST(Checkpoint, HasTheSameSecondDerivatives) {
  const Block block;
  const Tensors leaves = block.leaves();
  auto second = [&](const Tensors& ys) {
    const Tensors first = grad(loss_of(ys), leaves, {.create_graph = true});
    Tensor total = scalar(0, {DType::f64});
    for (const Tensor& g : first) total = total + sum(square(g));
    return grad(total, leaves);
  };
  const Tensors expected = second(block.plain(block.x)),
                found = second(block.checkpointed(block.x));
  for (size_t i = 0; i < leaves.size(); ++i) {
    double scale = 1;
    for (double v : expected[i].to_vector<double>()) scale = std::max(scale, std::abs(v));
    expect_close(found[i], expected[i], tolerance(DType::f64, 1000, scale));
  }
}

TEST(Checkpoint, InsideACheckpoint) {
  const Block block;
  const Tensors leaves = block.leaves();
  auto twice = [&](const Tensors& in) -> Tensors {
    return {block.checkpointed(block.checkpointed(in[0])[0])[0]};
  };
  const Tensor plain = block.plain(block.plain(block.x)[0])[0];
  const Tensor nested = checkpoint(twice, {block.x})[0];
  expect_equal(nested, plain);
  const Tensors expected = grad(sum(square(plain)), leaves),
                found = grad(sum(square(nested)), leaves);
  for (size_t i = 0; i < leaves.size(); ++i) {
    expect_close(found[i], expected[i], tolerance(DType::f64, 1000, 1000));
  }
}

TEST(Checkpoint, KeepsNothingOfTheInside) {
  const Tensor x = requires_grad(random({4}, 1));
  std::weak_ptr<Storage> inside;
  int runs = 0;
  const Tensor y = checkpoint(
      [&](const Tensors& in) -> Tensors {
        const Tensor h = exp(in[0]);
        inside = h.storage();
        ++runs;
        return {h * h};
      },
      {x})[0];
  EXPECT_TRUE(inside.expired());
  EXPECT_EQ(runs, 1);
  backward(sum(y));
  EXPECT_EQ(runs, 2);
  EXPECT_TRUE(inside.expired());
}

TEST(Checkpoint, AUselessInputAndAnUntrackedOne) {
  const Tensor x = requires_grad(ones({2})), unused = requires_grad(ones({2}));
  const Tensor y = checkpoint([](const Tensors& in) -> Tensors { return {in[0] * in[2]}; },
                              {x, unused, full({2}, 3)})[0];
  const Tensors found = grad(sum(y), {x, unused});
  expect_values(found[0], {2}, {3, 3});
  expect_values(found[1], {2}, {0, 0});
}

const CustomOp& cube() {
  static const CustomOp op{"cube",
                           [](const Tensors& in) -> Tensors { return {in[0] * in[0] * in[0]}; },
                           [](const Tensors& in, const Tensors&, const Tensors& g) -> Tensors {
                             return {g[0] * square(in[0]) * 3.0};
                           }};
  return op;
}

TEST(CustomOp, DifferentiatesByItsRule) {
  const Tensor x = requires_grad(from_values({2}));
  const Tensor y = apply(cube(), {x})[0];
  expect_values(y, {1}, {8});
  const Tensor g = grad(y, {x}, {.create_graph = true})[0];
  expect_values(g, {1}, {12});
  expect_values(grad(g, {x})[0], {1}, {12});
}

TEST(CustomOp, ByItsOutputIsExactAtEveryOrder) {
  const CustomOp op{"my_exp", [](const Tensors& in) -> Tensors { return {exp(in[0])}; },
                    [](const Tensors&, const Tensors& out, const Tensors& g) -> Tensors {
                      return {g[0] * out[0]};
                    }};
  const Tensor x = requires_grad(from_values({1}, {DType::f64}));
  Tensor y = apply(op, {x})[0];
  for (int order = 1; order <= 4; ++order) {
    y = grad(y, {x}, {.create_graph = true})[0];
    EXPECT_NEAR(y.item<double>(), std::exp(1.0), tolerance(DType::f64, 1, 3));
  }
}

TEST(CustomOp, AnOutputThatIsItsInput) {
  const CustomOp op{
      "double_gradient", [](const Tensors& in) -> Tensors { return {in[0]}; },
      [](const Tensors&, const Tensors&, const Tensors& g) -> Tensors { return {g[0] * 2.0}; }};
  const Tensor x = requires_grad(ones({1}));
  backward(apply(op, {x * 3.0})[0]);
  expect_values(x.grad(), {1}, {6});
}

TEST(CustomOp, ARuleMustAnswerForEachInput) {
  const CustomOp op{
      "broken", [](const Tensors& in) -> Tensors { return {in[0] + in[1]}; },
      [](const Tensors&, const Tensors&, const Tensors& g) -> Tensors { return {g[0]}; }};
  const Tensor x = requires_grad(ones({1}));
  EXPECT_ERROR(backward(apply(op, {x, x})[0]), StateError,
               "broken: its rule returned 1 gradients for 2 inputs");
}

}  // namespace
}  // namespace tessera::testing
