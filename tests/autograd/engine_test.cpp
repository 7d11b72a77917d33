#include "autograd/autograd.h"
#include "autograd/custom_op.h"
#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace tessera::testing {
namespace {

TEST(Leaf, IsTheSameHandle) {
  const Tensor x = from_values({1, 2});
  EXPECT_TRUE(requires_grad(x).is(x));
  EXPECT_TRUE(requires_grad(x).is(x));
  EXPECT_TRUE(x.tracked());
  EXPECT_FALSE(x.detach().tracked());
}

TEST(Leaf, Refusals) {
  EXPECT_ERROR(requires_grad(zeros({2}, {DType::i64})), DTypeError,
               "requires_grad: x is i64; derivatives need a floating dtype");
  const Tensor y = requires_grad(ones({2})) * 2.0;
  EXPECT_ERROR(requires_grad(y), StateError,
               "requires_grad: x is the result of an op; detach it to make a leaf");
}

TEST(Backward, SumsOverWhatWasBroadcast) {
  const Tensor a = requires_grad(ones({2, 1, 3})), b = requires_grad(full({4, 1}, 2)),
               c = requires_grad(scalar(3));
  backward(sum(a * b * c));
  expect_values(a.grad(), {2, 1, 3}, std::vector<double>(6, 24));
  expect_values(b.grad(), {4, 1}, std::vector<double>(4, 18));
  expect_values(c.grad(), {}, {48});
}

TEST(Backward, AddsToWhatIsThere) {
  const Tensor x = requires_grad(from_values({1, 2}));
  EXPECT_FALSE(x.grad().defined());
  backward(sum(x * x));
  expect_values(x.grad(), {2}, {2, 4});
  backward(sum(x * 3.0));
  expect_values(x.grad(), {2}, {5, 7});
  zero_grad(x);
  EXPECT_FALSE(x.grad().defined());
}

TEST(Backward, AnEarlierGradientThatSomebodyHoldsStays) {
  const Tensor x = requires_grad(from_values({1, 2}));
  backward(sum(x * 3.0));
  const Tensor held = x.grad();
  backward(sum(x * 3.0));
  expect_values(held, {2}, {3, 3});
  expect_values(x.grad(), {2}, {6, 6});
}

TEST(Backward, LeavesDoNotShareTheirGradients) {
  const Tensor a = requires_grad(ones({2})), b = requires_grad(ones({2}));
  const Tensor g = from_values({1, 2});
  backward(a + b, {.gradient = g});
  fill_(a.grad(), 7);
  expect_values(b.grad(), {2}, {1, 2});
  expect_values(g, {2}, {1, 2});
}

TEST(Backward, ATensorUsedManyTimes) {
  const Tensor x = requires_grad(from_values({3}));
  const Tensor y = x * x + x * 2.0 + x;
  backward(y * y);
  expect_values(x.grad(), {1}, {2 * 18 * 9});
}

TEST(Backward, OfALeafItself) {
  const Tensor x = requires_grad(scalar(4));
  backward(x);
  expect_values(x.grad(), {}, {1});
}

TEST(Backward, Refusals) {
  const Tensor x = requires_grad(ones({2}));
  EXPECT_ERROR(
      backward(ones({})), StateError,
      "backward: y does not depend on any leaf; mark one with requires_grad, and compute y "
      "outside of NoGrad");
  EXPECT_ERROR(backward(x * 2.0), ShapeError,
               "backward: y is (2); pass its gradient, or reduce it to one element first");
  EXPECT_ERROR(backward(x * 2.0, {.gradient = ones({3})}), ShapeError,
               "backward: the gradient is (3), but y is (2)");
  EXPECT_FALSE(x.grad().defined());
}

TEST(Backward, TellsWhenAGradientIsWhole) {
  const Tensor x = requires_grad(from_values({3})), a = requires_grad(from_values({2})),
               b = requires_grad(from_values({5})), unused = requires_grad(from_values({7}));
  const Tensor y = ((x * a) * b) * a;  // a is used last and first
  std::string order;
  std::vector<double> gradients;
  backward(y, {.when_whole = [&](const AutogradMeta& leaf) {
             const Tensor& t = &leaf == a.meta() ? a : &leaf == b.meta() ? b : x;
             order += &leaf == a.meta() ? 'a' : &leaf == b.meta() ? 'b' : 'x';
             gradients.push_back(t.grad().item<double>());
           }});
  EXPECT_EQ(order, "bxa");
  EXPECT_EQ(gradients[0], 3 * 2 * 2);
  EXPECT_EQ(gradients[1] + gradients[2], 3 * 5 * 2 * 2 + 2 * 5 * 2);
  int calls = 0;
  const auto count = [&](const AutogradMeta&) { ++calls; };
  backward(unused, {.when_whole = count});
  EXPECT_EQ(calls, 1);
  EXPECT_ERROR(
      backward(x * x, {.create_graph = true, .when_whole = count}), ValueError,
      "backward: when_whole with create_graph: a gradient that is recorded is whole when the walk "
      "over its own graph is; leave one of them out");
}

TEST(Backward, ALeafMayChangeWhenItsGradientIsWhole) {
  const auto make = [] { return requires_grad(random({4, 4}, 1)); };
  Tensor w1 = make(), w2 = make();
  const auto loss = [&] {
    const Tensor x = random({3, 4}, 2);
    const auto layer = [&](const Tensors& t) { return Tensors{gelu(matmul(t[0], w1))}; };
    return sum(matmul(matmul(checkpoint(layer, {x})[0], w2), w2));
  };
  backward(loss());
  const auto values = [](const Tensor& t) { return t.to_vector<double>(); };
  const Tensor g1 = w1.grad(), g2 = w2.grad();
  zero_grad(w1);
  zero_grad(w2);
  int calls = 0;
  const Tensor before1 = clone(w1.detach()), before2 = clone(w2.detach());
  backward(loss(), {.when_whole = [&](const AutogradMeta& leaf) {
             Tensor& w = &leaf == w1.meta() ? w1 : w2;
             EXPECT_EQ(values(w.grad()), values(&leaf == w1.meta() ? g1 : g2));
             w.assign(w.detach() - w.grad());
             zero_grad(w);
             ++calls;
           }});
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(values(w1), values(before1 - g1));
  EXPECT_EQ(values(w2), values(before2 - g2));
  EXPECT_FALSE(w1.grad().defined() || w2.grad().defined());
}

TEST(Backward, FreesTheGraphUnlessToldNotTo) {
  const Tensor x = requires_grad(from_values({2}));
  const Tensor y = x * x;
  backward(y, {.retain_graph = true});
  backward(y);
  expect_values(x.grad(), {1}, {8});
  EXPECT_ERROR(backward(y), StateError,
               "backward: this graph was freed by an earlier walk; pass retain_graph to the first");
}

TEST(Backward, NoticesChangesOfWhatWasSaved) {
  const Tensor x = requires_grad(from_values({1, 2}));
  Tensor y = sum(square(x));
  fill_(x, 3);
  EXPECT_ERROR(
      backward(y), StateError,
      "backward of square: a tensor (2) that it saved was changed in place by fill_ since");
  y = exp(x);
  copy_into(ones({2}), y.detach());
  EXPECT_ERROR(backward(sum(y)), StateError,
               "backward of exp: a tensor (2) that it saved was changed in place by copy_into "
               "since");
  y = sum(square(x));
  x.assign(ones({2}));
  EXPECT_ERROR(backward(y), StateError,
               "backward of square: a tensor (2) that it saved was changed in place by assign "
               "since");
  // What no rule needs may change.
  y = sum(x * 2.0);
  fill_(x, 5);
  backward(y);
}

TEST(Backward, OfItsOwnGradients) {
  const Tensor x = requires_grad(from_values({2}));
  backward(x * x * x, {.create_graph = true});
  EXPECT_TRUE(x.grad().tracked());
  const Tensor first = x.grad();
  zero_grad(x);
  backward(first);
  expect_values(x.grad(), {1}, {12});
}

TEST(Grad, IsWhatBackwardAccumulates) {
  const Tensor a = requires_grad(random({3, 4}, 1)), b = requires_grad(random({4}, 2));
  auto f = [&] { return sum(tanh(a * b) * exp(b)); };
  const Tensors found = grad(f(), {a, b});
  EXPECT_FALSE(a.grad().defined());
  backward(f());
  expect_equal(found[0], a.grad());
  expect_equal(found[1], b.grad());
}

TEST(Grad, OfInteriorTensors) {
  const Tensor x = requires_grad(from_values({2}));
  const Tensor h = x * x, y = h * h * x;  // y = x^5
  const Tensors found = grad(y, {h, x, y});
  expect_values(found[0], {1}, {16});  // 2 h x
  expect_values(found[1], {1}, {80});  // 5 x^4: all ways
  expect_values(found[2], {1}, {1});
}

TEST(Grad, OfSeveralResults) {
  const Tensor x = requires_grad(from_values({2, 3}));
  const Tensors ys{x * x, x * 5.0};
  const Tensors targets{x};
  const Tensors found = grad(std::span<const Tensor>(ys), targets,
                             {.gradients = {from_values({1, 0}), from_values({0, 1})}});
  expect_values(found[0], {2}, {4, 5});
  EXPECT_ERROR(grad(std::span<const Tensor>(ys), targets, {.gradients = {ones({2})}}), ShapeError,
               "grad: 1 gradients for 2 results");
}

TEST(Grad, IsZeroWhereNothingDepends) {
  const Tensor x = requires_grad(ones({2})), z = requires_grad(ones({3}, {DType::f64}));
  const Tensors found = grad(sum(x), {x, z});
  expect_values(found[1], {3}, {0, 0, 0});
  EXPECT_EQ(found[1].dtype(), DType::f64);
  EXPECT_ERROR(grad(sum(x), {ones({2})}), StateError,
               "grad: x 0 is not tracked; mark it with requires_grad before computing y");
}

TEST(Grad, AgainAndAgain) {
  const Tensor x = requires_grad(from_values({1.5}, {DType::f64}));
  Tensor y = sin(x);
  const double s = std::sin(1.5), c = std::cos(1.5);
  for (double expected : {c, -s, -c, s, c, -s}) {
    y = grad(y, {x}, {.create_graph = true})[0];
    EXPECT_NEAR(y.item<double>(), expected, tolerance(DType::f64, 1));
  }
}

TEST(Grad, FreesOnlyWhatItWalks) {
  const Tensor x = requires_grad(from_values({2}));
  const Tensor h = x * x, y = h * h, z = h * 3.0;
  grad(y, {h});
  expect_values(grad(z, {x})[0], {1}, {12});
}

TEST(Recording, StopsInsideNoGrad) {
  const Tensor x = requires_grad(ones({2}));
  EXPECT_TRUE(grad_enabled());
  {
    const NoGrad silent;
    EXPECT_FALSE(grad_enabled());
    EXPECT_FALSE((x * 2.0).tracked());
    {
      const EnableGrad on;
      EXPECT_TRUE((x * 2.0).tracked());
    }
    EXPECT_FALSE(grad_enabled());
  }
  EXPECT_TRUE((x * 2.0).tracked());
}

TEST(Recording, AViewOfALeafIsAResult) {
  const Tensor x = requires_grad(ones({2, 3}));
  backward(sum(transpose(reshape(x, {3, 2})) * 2.0));
  expect_values(x.grad(), {2, 3}, std::vector<double>(6, 2));
  EXPECT_THROW(fill_(reshape(x, {6}), 1), StateError);
}

TEST(Outputs, UnusedOnesHaveNoGradient) {
  const CustomOp op{"sum_and_difference",
                    [](const Tensors& in) -> Tensors {
                      return {in[0] + in[1], in[0] - in[1]};
                    },
                    [](const Tensors&, const Tensors&, const Tensors& g) -> Tensors {
                      EXPECT_TRUE(g[0].defined());
                      EXPECT_FALSE(g[1].defined());
                      return {g[0], g[0]};
                    }};
  const Tensor a = requires_grad(ones({2})), b = requires_grad(ones({2}));
  backward(sum(apply(op, {a, b})[0] * 3.0));
  expect_values(a.grad(), {2}, {3, 3});
  expect_values(b.grad(), {2}, {3, 3});
}

TEST(Vjp, IsPartial) {
  const Tensor a = requires_grad(from_values({3}));
  const Tensor b = a * 2.0;  // depends on the other input
  auto f = [](const Tensors& in) -> Tensors { return {in[0] * in[1]}; };
  const Tensors found = vjp(f, {a, b}, {ones({1})});
  expect_values(found[0], {1}, {6});  // b alone, not b + 2 a
  expect_values(found[1], {1}, {3});
  // The whole derivative of the first by a: b = 2 a.
  expect_values(grad(found[0], {a})[0], {1}, {2});
  const NoGrad silent;
  EXPECT_FALSE(vjp(f, {a, b}, {ones({1})})[0].tracked());
}

TEST(Vjp, ComputesWhatIsWanted) {
  auto f = [](const Tensors& in) -> Tensors { return {in[0] * in[1]}; };
  const Tensors found = vjp(f, {ones({2}), ones({2})}, {ones({2})}, {false, true});
  EXPECT_FALSE(found[0].defined());
  expect_values(found[1], {2}, {1, 1});
}

}  // namespace
}  // namespace tessera::testing
