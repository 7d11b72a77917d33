#include <pthread.h>

#include "autograd/autograd.h"
#include "autograd/node_internal.h"
#include "backends/registry.h"
#include "tests/testing/tensors.h"

namespace tessera::testing {
namespace {

/// Runs f on a thread whose stack is too small for any recursion.
void on_small_stack(void (*f)()) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, size_t{256} << 10), 0);
  pthread_t thread;
  auto body = [](void* function) -> void* {
    reinterpret_cast<void (*)()>(function)();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, body, reinterpret_cast<void*>(f)), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

Tensor chain(const Tensor& x, int length) {
  Tensor y = x;
  for (int i = 0; i < length; ++i) y = y + 1.0;
  return y;
}

TEST(GraphLife, AChainOfAMillionOpsIsWalked) {
  on_small_stack([] {
    const Tensor x = requires_grad(ones({1}));
    backward(chain(x, 1'000'000));
    EXPECT_EQ(x.grad().item<float>(), 1);
  });
}

TEST(GraphLife, AMillionOpsOfManyKindsAreWalked) {
  on_small_stack([] {
    const Tensor x = requires_grad(full({2, 3}, 0.5));
    Tensor y = x;
    for (int i = 0; i < 200'000; ++i) {  // five ops each; y stays what it is, the slope too
      y = reshape(transpose(y), {2, 3});
      y = reshape(y, {6});
      y = reshape(mul(y, 2.0) * 0.5, {2, 3});
    }
    backward(sum(y));
    expect_values(x.grad(), {2, 3}, std::vector<double>(6, 1.0));
  });
}

TEST(GraphLife, AWideGraphSumsWhatManyUsesSay) {
  const Tensor x = requires_grad(from_values({1, 2}, {DType::f64}));
  Tensors terms;
  for (int i = 0; i < 100'000; ++i) terms.push_back(x * static_cast<double>(i % 7));
  backward(sum(stack(terms)));
  double expected = 0;
  for (int i = 0; i < 100'000; ++i) expected += i % 7;
  expect_values(x.grad(), {2}, {expected, expected});
}

TEST(GraphLife, ADeepAndWideGraph) {
  on_small_stack([] {
    // Each layer uses every value of the one before, twice: 2^n paths, but n layers of work.
    const Tensor x = requires_grad(from_values({1}, {DType::f64}));
    Tensor y = x;
    for (int i = 0; i < 500; ++i) y = (y + y) * 0.5;
    Tensor z = x;
    for (int i = 0; i < 50'000; ++i) z = (z + x) * 0.5;
    backward(sum(y + z));
    expect_values(x.grad(), {1}, {2}, tolerance(DType::f64, 50'000));
  });
}

TEST(GraphLife, SecondDerivativesOfALongChain) {
  on_small_stack([] {
    const Tensor x = requires_grad(from_values({1}, {DType::f64}));
    Tensor y = x * x;
    for (int i = 0; i < 20'000; ++i) y = y * 1.0000001 + 1e-9;
    const Tensor slope = grad(y, {x}, {.create_graph = true})[0];
    const double growth = std::pow(1.0000001, 20'000);
    expect_values(slope, {1}, {2 * growth}, tolerance(DType::f64, 1, 20'000));
    expect_values(grad(slope, {x})[0], {1}, {2 * growth}, tolerance(DType::f64, 1, 20'000));
  });
}

TEST(GraphLife, ADeepGraphIsReleasedWithoutAWalk) {
  on_small_stack([] {
    const Tensor x = requires_grad(ones({1}));
    Tensor y = x;
    for (int i = 0; i < 300'000; ++i) y = y * y;  // saves its inputs, which hold the graph too
    y = Tensor();
  });
}

TEST(GraphLife, ARetainedDeepGraphIsReleasedAfterAWalk) {
  on_small_stack([] {
    const Tensor x = requires_grad(ones({1}));
    Tensor y = exp(chain(x * 0.0, 100'000) * 0.0);
    backward(y, {.retain_graph = true});
    backward(y);
  });
}

struct Watch {
  std::weak_ptr<Node> node;
  std::weak_ptr<Storage> storage;
  explicit Watch(const Tensor& x) : node(edge_to(x).node), storage(x.storage()) {}
  bool gone() const { return node.expired() && storage.expired(); }
};

TEST(GraphLife, NothingOutlivesItsResult) {
  const Tensor x = requires_grad(random({4, 4}, 1));
  std::vector<Watch> watches;
  {
    // Outputs that are saved by their own nodes: a cycle, were they saved with their history.
    Tensor y = exp(x);
    watches.emplace_back(y);
    y = softmax(y);
    watches.emplace_back(y);
    y = layer_norm(y, ones({4}, {DType::f64}), zeros({4}, {DType::f64}));
    watches.emplace_back(y);
    for (const Watch& w : watches) EXPECT_FALSE(w.gone());
  }
  for (const Watch& w : watches) EXPECT_TRUE(w.gone());
}

TEST(GraphLife, AGraphMayOutliveMain) {
  // Destroyed after everything that belongs to the main thread: the sanitizers watch.
  static Tensor kept;
  const Tensor x = requires_grad(random({4}, 1));
  kept = exp(x) * x;
}

TEST(GraphLife, SavedTensorsGoAsTheWalkPasses) {
  const Tensor x = requires_grad(random({4}, 1));
  Tensor h = exp(x);
  const std::weak_ptr<Storage> storage = h.storage();
  const Tensor y = sum(h * h);
  h = Tensor();
  EXPECT_FALSE(storage.expired());
  backward(y, {.retain_graph = true});
  EXPECT_FALSE(storage.expired());
  backward(y);
  EXPECT_TRUE(storage.expired());
}

TEST(GraphLife, HigherDerivativesLeakNothing) {
  const size_t before = backend(kCpu).memory_stats().live_bytes;
  {
    const Tensor x = requires_grad(random({3, 6}, 1)), gamma = requires_grad(random({6}, 2)),
                 beta = requires_grad(random({6}, 3));
    Tensors g =
        grad(sum(square(softmax(layer_norm(x, gamma, beta)))), {x, gamma}, {.create_graph = true});
    g = grad(sum(square(g[0])) + sum(square(g[1])), {x, gamma}, {.create_graph = true});
    backward(sum(g[0]));
  }
  EXPECT_EQ(backend(kCpu).memory_stats().live_bytes, before);
}

TEST(GraphLife, ATrainingStepLeaksNothing) {
  const Tensor x = random({8, 6}, 1), w = requires_grad(random({6, 6}, 2)),
               b = requires_grad(random({6}, 3));
  size_t after_first = 0;
  for (int step = 0; step < 3; ++step) {
    backward(sum(gelu(linear(x, w, b))));
    const size_t live = backend(kCpu).memory_stats().live_bytes;
    if (step == 0) after_first = live;
    EXPECT_EQ(live, after_first);
  }
}

}  // namespace
}  // namespace tessera::testing
