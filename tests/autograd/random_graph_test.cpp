// Random expression graphs: f64 and f32 against plain loops that carry their own bound, strided
// against contiguous leaves to the bit, and derivatives against differences.

#include "tests/autograd/random_graph.h"

#include "autograd/autograd.h"

namespace tessera::testing {
namespace {

constexpr uint64_t kGraphs = 20'000;

Tensors as(const Tensors& xs, DType dtype) {
  Tensors all = xs;
  for (Tensor& x : all) x = x.to(dtype);
  return all;
}

/// The same elements in other memory, each leaf in a way of its own.
Tensors laid_out(const Tensors& xs, uint64_t seed) {
  Tensors all;
  for (const Tensor& x : xs) {
    const auto ways = layouts(x);
    all.push_back(ways[1 + seed++ % (ways.size() - 1)].second);
  }
  return all;
}

struct Outcome {
  Tensor y;
  Tensors gradients;
};

/// The result and the derivatives of its projection on `weights`.
Outcome outcome(const Graph& graph, const Tensors& in, const Tensor& weights) {
  Tensors leaves;
  for (const Tensor& x : in) leaves.push_back(requires_grad(x.detach()));
  const Tensor y = graph.run(leaves);
  if (!y.tracked()) return {y, {}};
  return {y.detach(), grad(y, leaves, {.gradients = {weights.to(y.dtype())}})};
}

void expect_within(const Tensor& y, const Grid& expected, double epsilon, uint64_t seed) {
  ASSERT_EQ(to_string(y.shape()), to_string(expected.shape)) << "graph " << seed;
  const std::vector<double> found = y.to_vector<double>();
  for (size_t i = 0; i < found.size(); ++i) {
    const Rounded& e = expected.elements[i];
    // The loops are rounded as f64 is.
    const double bound = (epsilon + 0x1p-52) * e.error;
    ASSERT_LE(std::fabs(found[i] - e.value), bound)
        << "graph " << seed << ", element " << i << " of " << to_string(y.dtype()) << ": "
        << found[i] << ", expected " << e.value;
  }
}

void expect_same_bits(const Outcome& a, const Outcome& b, uint64_t seed) {
  ASSERT_EQ(a.y.to_vector<double>(), b.y.to_vector<double>()) << "graph " << seed;
  ASSERT_EQ(a.gradients.size(), b.gradients.size()) << "graph " << seed;
  for (size_t i = 0; i < a.gradients.size(); ++i) {
    ASSERT_EQ(a.gradients[i].to_vector<double>(), b.gradients[i].to_vector<double>())
        << "graph " << seed << ", derivative by leaf " << i;
  }
}

/// Along one direction in the space of all leaves.
void expect_slope(const Graph& graph, const Outcome& o, const Tensor& weights, uint64_t seed) {
  Tensors directions;
  double slope = 0;
  for (size_t i = 0; i < graph.leaves.size(); ++i) {
    directions.push_back(random(graph.leaves[i].shape(), 7 * seed + i));
    slope += sum(o.gradients[i] * directions[i]).item<double>();
  }
  const double h = std::pow(0x1p-52, 0.2);
  auto value = [&](double distance) {
    Tensors moved;
    for (size_t i = 0; i < graph.leaves.size(); ++i) {
      moved.push_back(graph.leaves[i] + directions[i] * distance);
    }
    return sum(graph.run(moved) * weights).item<double>();
  };
  const double near = value(h) - value(-h), far = value(2 * h) - value(-2 * h);
  const double three = near / (2 * h), five = (8 * near - far) / (12 * h);
  double noise = 0;
  const std::vector<double> w = weights.to_vector<double>();
  for (size_t i = 0; i < w.size(); ++i) {
    const Rounded& e = graph.result().elements[i];
    noise += std::fabs(w[i]) * (e.error + std::fabs(e.value) * static_cast<double>(w.size()));
  }
  // Rounding of both, and the truncation of the differences as these two tell it.
  const double bound =
      8 * 0x1p-52 * (noise + std::fabs(slope)) / h + 2e-3 * std::fabs(five - three);
  ASSERT_LE(std::fabs(slope - five), bound) << "graph " << seed;
}

TEST(RandomGraphs, F64AndF32AreWithinTheBoundOfPlainLoops) {
  for (uint64_t seed = 0; seed < kGraphs; ++seed) {
    const Graph graph = drawn_graph(seed);
    ASSERT_NO_FATAL_FAILURE(expect_within(graph.run(graph.leaves), graph.result(), 0x1p-52, seed));
    ASSERT_NO_FATAL_FAILURE(
        expect_within(graph.run(as(graph.leaves, DType::f32)), graph.result(), 0x1p-23, seed));
  }
}

TEST(RandomGraphs, StridedLeavesGiveTheSameBits) {
  for (uint64_t seed = 0; seed < kGraphs; ++seed) {
    const Graph graph = drawn_graph(seed);
    const Tensor weights = random(graph.result().shape, seed + 1);
    const DType dtype = seed % 2 == 0 ? DType::f64 : DType::f32;
    const Tensors leaves = as(graph.leaves, dtype);
    ASSERT_NO_FATAL_FAILURE(expect_same_bits(
        outcome(graph, leaves, weights), outcome(graph, laid_out(leaves, seed), weights), seed));
  }
}

TEST(RandomGraphs, DerivativesAgreeWithDifferences) {
  int64_t smooth = 0, steps = 0;
  for (uint64_t seed = 0; seed < kGraphs; ++seed) {
    const Graph graph = drawn_graph(seed);
    steps += static_cast<int64_t>(graph.steps.size());
    if (!graph.smooth) continue;
    const Tensor weights = random(graph.result().shape, seed + 1);
    const Outcome o = outcome(graph, graph.leaves, weights);
    if (o.gradients.empty()) continue;
    ++smooth;
    ASSERT_NO_FATAL_FAILURE(expect_slope(graph, o, weights, seed));
  }
  EXPECT_GT(smooth, 5000);
  EXPECT_GT(steps, 150'000);
}

}  // namespace
}  // namespace tessera::testing
