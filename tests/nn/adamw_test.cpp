#include "nn/optim/adamw.h"

#include <cmath>

#include <gtest/gtest.h>

#include "autograd/autograd.h"
#include "nn/io/safetensors.h"
#include "nn/linear.h"
#include "nn/optim/clip.h"
#include "tensor/ops/ops.h"
#include "tests/testing/errors.h"

namespace {

using namespace tessera;
using namespace tessera::nn;

Tensor random_leaf(const Shape& shape, uint64_t seed) {
  return parameter(normal(shape, RandomKey{seed}, {.dtype = DType::f64}));
}

/// Makes dL/dp = g exactly.
void give_gradient(const Tensor& p, const Tensor& g) {
  zero_grad(p);
  backward(sum(p * g));
}

/// The formula, one number at a time.
struct Reference {
  std::vector<double> p, m, v, average;
  int64_t t = 0;
  explicit Reference(const Tensor& x)
      : p(x.to_vector<double>()), m(p.size()), v(p.size()), average(p) {}
  void step(const std::vector<double>& g, double lr, double decay, const AdamWSettings& s) {
    ++t;
    const double c1 = 1 - std::pow(s.beta1, static_cast<double>(t));
    const double c2 = 1 - std::pow(s.beta2, static_cast<double>(t));
    for (size_t i = 0; i < p.size(); ++i) {
      m[i] = s.beta1 * m[i] + (1 - s.beta1) * g[i];
      v[i] = s.beta2 * v[i] + (1 - s.beta2) * g[i] * g[i];
      p[i] -= lr * decay * p[i] + lr * (m[i] / c1) / (std::sqrt(v[i] / c2) + s.eps);
      average[i] = s.average_decay * average[i] + (1 - s.average_decay) * p[i];
    }
  }
};

void expect_near(const Tensor& x, const std::vector<double>& y, double bound, const char* what) {
  const std::vector<double> a = x.to_vector<double>();
  ASSERT_EQ(a.size(), y.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], y[i], bound) << what << ' ' << i;
}

TEST(AdamW, AgreesWithAPlainLoopOverGroupsClippingAndAverages) {
  const AdamWSettings settings{.lr = 0.01,
                               .beta1 = 0.8,
                               .beta2 = 0.95,
                               .eps = 1e-6,
                               .max_grad_norm = 0.7,
                               .average_decay = 0.9};
  const std::vector<Shape> shapes = {{5, 3}, {7}, {2, 2, 2}};
  NamedParameters all;
  std::vector<Reference> references;
  for (size_t i = 0; i < shapes.size(); ++i) {
    all.push_back({"p" + std::to_string(i), random_leaf(shapes[i], i), {}});
    references.emplace_back(all.back().tensor);
  }
  const double scales[] = {1, 0.25, 0.25}, decays[] = {0.1, 0, 0.3};
  std::vector<ParamGroup> groups;
  for (size_t i = 0; i < 3; ++i) {
    groups.push_back({"g" + std::to_string(i), {all[i]}, scales[i], decays[i]});
  }
  AdamW optimizer(groups, settings);
  for (uint64_t step = 0; step < 6; ++step) {
    const double lr = 0.01 / static_cast<double>(step + 1);
    optimizer.set_lr(lr);
    std::vector<std::vector<double>> gradients;
    double squares = 0;
    for (size_t i = 0; i < 3; ++i) {
      const Tensor g = normal(shapes[i], RandomKey{100 + 10 * step + i}, {.dtype = DType::f64}) *
                       (step == 3 ? 0.01 : 1.0);  // one step below the bound
      give_gradient(all[i].tensor, g);
      gradients.push_back(g.to_vector<double>());
      for (const double e : gradients.back()) squares += e * e;
    }
    const double norm = std::sqrt(squares), factor = std::min(1.0, 0.7 / (norm + 1e-6));
    const StepReport report = optimizer.step();
    EXPECT_EQ(report.updated, 3);
    EXPECT_NEAR(report.grad_norm.item<double>(), norm, 1e-12 * norm);
    for (size_t i = 0; i < 3; ++i) {
      for (double& e : gradients[i]) e *= factor;
      references[i].step(gradients[i], lr * scales[i], decays[i], settings);
    }
  }
  const StateDict state = optimizer.state();
  for (size_t i = 0; i < 3; ++i) {
    const std::string name = all[i].name;
    expect_near(all[i].tensor, references[i].p, 1e-13, "parameter");
    expect_near(state.at("m." + name), references[i].m, 1e-14, "m");
    expect_near(state.at("v." + name), references[i].v, 1e-14, "v");
    expect_near(optimizer.averages().at(name), references[i].average, 1e-13, "average");
    EXPECT_EQ(state.at("step." + name).item<int64_t>(), 6);
  }
}

TEST(AdamW, ASkippedParameterJoinsWithItsOwnStepCount) {
  const AdamWSettings settings{.lr = 0.1, .weight_decay = 0, .missing_grad = MissingGrad::skip};
  const NamedParameters all = {{"a", random_leaf({3}, 1), {}}, {"late", random_leaf({3}, 2), {}}};
  Reference a(all[0].tensor), late(all[1].tensor);
  AdamW optimizer(all, settings);
  const Tensor g = ones({3}, {.dtype = DType::f64});
  give_gradient(all[0].tensor, g);
  const StepReport first = optimizer.step();
  EXPECT_EQ(first.updated, 1);
  EXPECT_EQ(first.skipped, 1);
  EXPECT_FALSE(first.grad_norm.defined());
  give_gradient(all[0].tensor, g);
  give_gradient(all[1].tensor, g);
  EXPECT_EQ(optimizer.step().updated, 2);
  const std::vector<double> one = {1, 1, 1};
  a.step(one, 0.1, 0, settings);
  a.step(one, 0.1, 0, settings);
  late.step(one, 0.1, 0, settings);
  expect_near(all[0].tensor, a.p, 1e-14, "a");
  expect_near(all[1].tensor, late.p, 1e-14, "late");
}

TEST(AdamW, NamesTheParameterWithoutGradientAndChangesNothing) {
  const NamedParameters all = {{"a", random_leaf({2}, 1), {}},
                               {"encoder.fc1.weight", random_leaf({2}, 2), {}}};
  const std::vector<double> before = all[0].tensor.to_vector<double>();
  AdamW optimizer(all);
  give_gradient(all[0].tensor, ones({2}, {.dtype = DType::f64}));
  EXPECT_ERROR(optimizer.step(), StateError,
               "adamw: parameter \"encoder.fc1.weight\" has no gradient; was backward() called?");
  EXPECT_EQ(all[0].tensor.to_vector<double>(), before);
  optimizer.zero_grad();
  EXPECT_FALSE(all[0].tensor.grad().defined());
}

TEST(AdamW, AnInfiniteGradientIsClippedToNothing) {
  const NamedParameters all = {{"a", random_leaf({2}, 1), {}}};
  const std::vector<double> before = all[0].tensor.to_vector<double>();
  AdamW optimizer(all, {.lr = 0.1, .weight_decay = 0, .max_grad_norm = 1});
  give_gradient(all[0].tensor, from_values({1, INFINITY}, {.dtype = DType::f64}));
  const StepReport report = optimizer.step();
  EXPECT_FALSE(std::isfinite(report.grad_norm.item<double>()));
  EXPECT_EQ(all[0].tensor.to_vector<double>(), before);
}

struct Sliced : Module {
  Tensor weight = parameter(normal({6, 2}, RandomKey{1}));
  void fields(FieldVisitor& v) override {
    v.rows("k", weight, 2, 4);
    v.rows("q", weight, 0, 2);
    v.rows("v", weight, 4, 6);
  }
};

void train(const Sliced& module, AdamW& optimizer, int from, int to) {
  for (int i = from; i < to; ++i) {
    give_gradient(module.weight, normal({6, 2}, RandomKey{static_cast<uint64_t>(50 + i)}));
    optimizer.step();
  }
}

TEST(AdamW, ResumesWithTheSameBitsFromAFileOfSlices) {
  const AdamWSettings settings{.lr = 0.01, .average_decay = 0.5};
  Sliced straight, stopped, resumed;
  AdamW a(straight.named_parameters(), settings), b(stopped.named_parameters(), settings);
  train(straight, a, 0, 5);
  train(stopped, b, 0, 3);
  const std::string path = testing::TempDir() + "adamw_state.safetensors";
  save_safetensors(path, b.state());
  EXPECT_TRUE(b.state().contains("m.q"));
  EXPECT_EQ(b.state().at("v.k").shape(), Shape({2, 2}));

  load_state(resumed, stopped.state());
  AdamW c(resumed.named_parameters(), settings);
  c.load(load_safetensors(path).tensors);
  train(resumed, c, 3, 5);
  EXPECT_EQ(resumed.weight.to_vector<float>(), straight.weight.to_vector<float>());
  EXPECT_EQ(c.averages().at("v").to_vector<float>(), a.averages().at("v").to_vector<float>());
}

TEST(AdamW, RefusesAStateThatDoesNotFit) {
  Sliced module;
  AdamW optimizer(module.named_parameters());
  train(module, optimizer, 0, 1);
  StateDict state = clone(optimizer.state());
  state.erase("m.q");
  EXPECT_ERROR(optimizer.load(state), StateError, "adamw: 1 of 9 names missing: \"m.q\"");
  state = clone(optimizer.state());
  fill_(state.at("step.v"), 3);
  EXPECT_ERROR(optimizer.load(state), StateError,
               "adamw: rows \"v\" of one parameter have 3 steps, but \"k\" 1");
  EXPECT_ERROR(optimizer.averages(), StateError,
               "adamw: no averages are kept; set average_decay to keep them");
}

TEST(AdamW, RefusesBadSettingsAndParameters) {
  const NamedParameters good = {{"a", random_leaf({2}, 1), {}}};
  EXPECT_ERROR(AdamW(good, {.beta2 = 1}), ValueError, "adamw: beta2 is 1, but must be in [0, 1)");
  EXPECT_ERROR(AdamW(good, {.lr = -1}), ValueError, "adamw: lr is -1, but must not be negative");
  EXPECT_ERROR(AdamW(std::vector<ParamGroup>{{"g", {good[0], good[0]}, 1, 0}}), StateError,
               "adamw: parameter \"a\" was given twice");
  EXPECT_ERROR(AdamW(std::vector<ParamGroup>{{"g", {{"x", ones({2}), {}}}, 1, 0}}), StateError,
               "adamw: parameter \"x\" is no leaf; mark it with requires_grad, or leave it out");
  EXPECT_ERROR(AdamW(NamedParameters{good[0], {"b", parameter(ones({2})), {}}}), DTypeError,
               "adamw: parameter \"b\" is f32, but \"a\" is f64");
}

/// Two layers; the first one's weight is used twice.
struct TwoLayers {
  NamedParameters all = {
      {"w", random_leaf({6, 6}, 1), {}},
      {"b", random_leaf({6}, 2), {}},
      {"out", random_leaf({44'000, 6}, 3), {}},  // is updated while backward goes on
      {"unused", random_leaf({2}, 4), {}}};
  Tensor loss(uint64_t seed) const {
    const Tensor x = normal({8, 6}, RandomKey{seed}, {.dtype = DType::f64});
    const Tensor h = gelu(linear(x, all[0].tensor, all[1].tensor));
    return mean(square(linear(linear(h, all[0].tensor), all[2].tensor)));
  }
};

TEST(AdamW, AStepDuringBackwardHasTheSameBits) {
  const AdamWSettings settings{.lr = 0.01, .average_decay = 0.9, .missing_grad = MissingGrad::skip};
  const TwoLayers apart, together;
  AdamW first(apart.all, settings), second(together.all, settings);
  for (uint64_t step = 0; step < 4; ++step) {
    if (step == 2) {  // gradients of a micro-batch before, and of a parameter that has no other
      for (const TwoLayers* model : {&apart, &together}) {
        backward(model->loss(50));
        backward(sum(model->all[3].tensor));
      }
    }
    backward(apart.loss(step));
    const StepReport report = first.step();
    first.zero_grad();
    const StepReport merged = second.backward_and_step(together.loss(step));
    EXPECT_EQ(merged.updated, report.updated);
    EXPECT_EQ(merged.skipped, report.skipped);
    EXPECT_EQ(merged.updated, step == 2 ? 4 : 3);
  }
  const StateDict a = first.state(), b = second.state();
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    EXPECT_EQ(tensor.to_vector<double>(), b.at(name).to_vector<double>()) << name;
  }
  for (size_t i = 0; i < apart.all.size(); ++i) {
    EXPECT_EQ(apart.all[i].tensor.to_vector<double>(), together.all[i].tensor.to_vector<double>());
    EXPECT_FALSE(together.all[i].tensor.grad().defined());
  }
}

TEST(AdamW, AStepDuringBackwardNeedsNeitherAllGradientsNorSilence) {
  const TwoLayers model;
  AdamW clips(model.all, {.max_grad_norm = 3});
  EXPECT_ERROR(clips.backward_and_step(model.loss(1)), ValueError,
               "adamw: backward_and_step cannot clip to 3: the norm of all gradients is known only "
               "after backward; set max_grad_norm to 0, or call backward and step");
  AdamW strict(model.all);
  EXPECT_ERROR(strict.backward_and_step(model.loss(1)), StateError,
               "adamw: parameter \"unused\" has no gradient; does the loss depend on it? The "
               "others are updated");
}

TEST(AdamW, StaysValidWhenMoved) {
  const NamedParameters all = {{"a", random_leaf({2}, 1), {}}};
  AdamW first(all);
  AdamW second(std::move(first));
  give_gradient(all[0].tensor, ones({2}, {.dtype = DType::f64}));
  EXPECT_EQ(second.step().updated, 1);
}

TEST(Clip, ScalesToTheBoundAndReturnsTheNorm) {
  const NamedParameters all = {{"a", random_leaf({1}, 1), {}},
                               {"b", random_leaf({1}, 2), {}},
                               {"without", random_leaf({1}, 3), {}}};
  auto give = [&](double x, double y) {
    give_gradient(all[0].tensor, from_values({x}, {.dtype = DType::f64}));
    give_gradient(all[1].tensor, from_values({y}, {.dtype = DType::f64}));
  };
  give(3, 4);
  EXPECT_NEAR(grad_norm(all).item<double>(), 5, 1e-12);
  EXPECT_NEAR(clip_gradients(all, 1).item<double>(), 5, 1e-12);
  EXPECT_NEAR(all[0].tensor.grad().item<double>(), 0.6, 1e-6);
  EXPECT_NEAR(grad_norm(all).item<double>(), 1, 1e-6);
  clip_gradients(all, 2);
  EXPECT_NEAR(grad_norm(all).item<double>(), 1, 1e-6);
  give(INFINITY, 4);
  EXPECT_EQ(clip_gradients(all, 1).item<double>(), INFINITY);
  EXPECT_EQ(all[0].tensor.grad().item<double>(), 0);
  EXPECT_EQ(all[1].tensor.grad().item<double>(), 0);
}

}  // namespace
