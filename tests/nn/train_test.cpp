#include <gtest/gtest.h>

#include "nn/nn.h"

namespace {

using namespace tessera;

struct Mlp : nn::Module {
  nn::Linear hidden{2, 32, RandomKey{1}}, out{32, 2, RandomKey{2}};
  Tensor operator()(const Tensor& x) const { return out(gelu(hidden(x))); }
  void fields(nn::FieldVisitor& v) override {
    v("hidden", hidden);
    v("out", out);
  }
};

/// Points of the unit square, labelled like a chess board of four fields.
std::pair<Tensor, Tensor> board(uint64_t seed) {
  const Tensor x = uniform({512, 2}, RandomKey{seed}, {}, -1, 1);
  const Tensor label = (select(x, 1, 0) * select(x, 1, 1) > 0.0).to(DType::i64);
  return {x, label};
}

double accuracy(const Mlp& model, const Tensor& x, const Tensor& label) {
  const NoGrad guard;
  return mean(equal(argmax(model(x), 1), label).to(DType::f32)).item<double>();
}

std::vector<double> train(Mlp& model, int steps) {
  const auto [x, label] = board(3);
  nn::AdamW optimizer(nn::make_param_groups(model.named_parameters(), {.weight_decay = 0.01}),
                      {.max_grad_norm = 1});
  std::vector<double> losses;
  for (int step = 0; step < steps; ++step) {
    optimizer.set_lr(nn::warmup_cosine({.peak = 0.02, .warmup = 10, .total = steps}, step));
    const Tensor loss = cross_entropy(model(x), label);
    backward(loss);
    optimizer.step();
    optimizer.zero_grad();
    losses.push_back(loss.item<double>());
  }
  return losses;
}

TEST(Training, AnMlpLearnsWhatNoLinearModelCan) {
  Mlp model;
  const auto [x, label] = board(4);  // points not trained on
  EXPECT_LT(accuracy(model, x, label), 0.8);
  const std::vector<double> losses = train(model, 200);
  EXPECT_LT(losses.back(), 0.1 * losses.front());
  EXPECT_GT(accuracy(model, x, label), 0.95);
}

TEST(Training, TwoRunsHaveTheSameBits) {
  Mlp a, b;
  EXPECT_EQ(train(a, 20), train(b, 20));
}

}  // namespace
