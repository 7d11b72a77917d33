// Learn a sphere, with a smoothness penalty on the model's own gradient.
#include <cstdio>

#include "nn/nn.h"

using namespace tessera;

/// Two layers, (N, in) -> (N, classes).
struct Mlp : nn::Module {
  nn::Linear hidden, out;

  Mlp(int64_t in, int64_t width, int64_t classes, RandomKey key)
      : hidden(in, width, key.fold(0)), out(width, classes, key.fold(1)) {}

  Tensor operator()(const Tensor& x) const { return out(gelu(hidden(x))); }
  void fields(nn::FieldVisitor& v) override {
    v("hidden", hidden);
    v("out", out);
  }
  std::string describe() const override { return "Mlp"; }
};

int main() {
  Generator rng(/*seed=*/0);
  const Tensor x = randn({1024, 16}, rng);                           // (N, 16) points
  const Tensor label = (sum(square(x), {1}) > 16.0).to(DType::i64);  // (N) outside the sphere?

  Mlp model(16, 64, 2, rng.next());
  std::printf("%s", to_string(model).c_str());
  nn::AdamW optimizer(model.named_parameters(), {.lr = 1e-2, .weight_decay = 0.01});

  for (int step = 1; step <= 200; ++step) {
    const Tensor probe = requires_grad(randn({64, 16}, rng));
    const Tensor slope = grad(sum(model(probe)), {probe}, {.create_graph = true})[0];
    const Tensor rough = mean(square(sqrt(sum(square(slope), {1})) - 1.0));

    const Tensor loss = cross_entropy(model(x), label) + 0.1 * rough;
    backward(loss);  // differentiates through `slope`, itself a gradient
    optimizer.step();
    optimizer.zero_grad();
    if (step % 50 == 0) std::printf("step %3d  loss %.4f\n", step, loss.item<double>());
  }

  const Tensor right = equal(argmax(model(x), 1), label).to(DType::f32);
  std::printf("accuracy %.3f\n", mean(right).item<double>());
}
