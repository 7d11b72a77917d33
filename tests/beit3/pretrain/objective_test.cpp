#include "beit3/pretrain/objective.h"

#include <cmath>

#include <gtest/gtest.h>

#include "autograd/autograd.h"
#include "beit3/model/init.h"
#include "beit3/pretrain/made_up_batch.h"
#include "tests/beit3/model/tiny_model.h"

namespace tessera::beit3 {
namespace {

TEST(FrequencyWeights, HaveMeanOneOverPositions) {
  const std::vector<int64_t> counts{100, 10, 1, 0};
  for (double power : {0.1, 0.3, 1.0}) {
    const std::vector<float> w = frequency_weights(counts, power);
    double mean = 0;
    const double total = 100 + 10 + 1 + 1;
    for (size_t i = 0; i < w.size(); ++i) {
      mean +=
          static_cast<double>(w[i]) * static_cast<double>(std::max<int64_t>(counts[i], 1)) / total;
    }
    EXPECT_NEAR(mean, 1, 1e-6) << power;
  }
  const std::vector<float> w = frequency_weights(counts, 0.3);
  EXPECT_NEAR(w[1] / w[0], std::pow(10.0, 0.3), 1e-4);
  EXPECT_TRUE(frequency_weights(counts, 0).empty());
}

/// Two pictures, two texts and two pairs.
struct Mixed {
  ModelConfig config;
  PretrainModel model;
  PretrainBatch batch;
  std::vector<int64_t> codes;
  PartSizes whole;

  explicit Mixed(Form form)
      : config(with_more_positions(form)),
        model(config),
        batch(made_up_batch(config, {.images = 2, .texts = 2, .pairs = 2})),
        codes(made_up_codes(config, batch)),
        whole{batch.image_patches, batch.pair_patches, batch.pair_words, batch.text_words} {
    initialise(model, RandomKey{1});
  }
  Tensor loss(const TargetWeights& weights, const Pass& pass = {}) const {
    return masked_data_modelling(model, batch, whole, codes, weights, pass).loss;
  }

 private:
  static ModelConfig with_more_positions(Form form) {
    ModelConfig c = tiny_model(form);
    c.text_positions = 80;
    return c;
  }
};

TEST(Objective, PositionsCountAsTheirTargetsWeigh) {
  const Mixed mixed(Form::released);
  const auto loss = [&](const TargetWeights& weights) {
    return mixed.loss(weights).item<double>();
  };
  // The loss is linear in the weights: even targets, odd ones, and all.
  TargetWeights even{.code = std::vector<float>(12, 0), .word = std::vector<float>(20, 0)};
  TargetWeights odd = even, twice = even;
  for (TargetWeights* w : {&even, &odd, &twice}) {
    for (std::vector<float>* part : {&w->code, &w->word}) {
      for (size_t i = 0; i < part->size(); ++i) {
        (*part)[i] = w == &twice ? 2.0f : (i % 2 == 0) == (w == &even) ? 1.0f : 0.0f;
      }
    }
  }
  const double whole_loss = loss({});
  EXPECT_NEAR(loss(twice), 2 * whole_loss, 1e-5 * whole_loss);
  EXPECT_NEAR(loss(even) + loss(odd), whole_loss, 1e-5 * whole_loss);
  EXPECT_GT(loss(even), 0);
  EXPECT_GT(loss(odd), 0);
  const double words_alone = loss({.code = std::vector<float>(12, 0), .word = {}});
  EXPECT_LT(words_alone, whole_loss);
  EXPECT_GT(words_alone, 0);
}

TEST(PartResult, AddsUp) {
  PartResult a{2, 1, 3.0}, b{2, 2, 1.0};
  a.add(b);
  EXPECT_EQ(a.accuracy(), 0.75);
  EXPECT_EQ(a.loss(), 1.0);
  EXPECT_EQ(PartResult{}.accuracy(), 0);
}

TEST(Objective, ActivationsOfBf16GiveNearlyTheSameGradients) {
  for (Form form : {Form::released, Form::paper}) {
    const Mixed mixed(form);
    const auto gradients = [&](DType dtype, bool recompute) {
      const Pass pass{.training = true, .recompute = recompute, .dtype = dtype};
      const Tensor loss = mixed.loss({}, pass);
      EXPECT_EQ(loss.dtype(), DType::f32);
      backward(loss);
      std::vector<double> all{loss.item<double>()};
      for (const nn::NamedParameter& p : mixed.model.named_parameters()) {
        if (!p.tensor.grad().defined()) continue;
        EXPECT_EQ(p.tensor.grad().dtype(), DType::f32) << p.name;
        const std::vector<double> g = p.tensor.grad().to_vector<double>();
        all.insert(all.end(), g.begin(), g.end());
        zero_grad(p.tensor);
      }
      return all;
    };
    const std::vector<double> exact = gradients(DType::f32, false);
    const std::vector<double> rounded = gradients(DType::bf16, false);
    ASSERT_EQ(rounded.size(), exact.size());
    double off = 0, whole_length = 0;
    for (size_t i = 1; i < exact.size(); ++i) {
      off += (rounded[i] - exact[i]) * (rounded[i] - exact[i]);
      whole_length += exact[i] * exact[i];
    }
    constexpr double kUnit = 1.0 / 256;  // of a rounding to 8 bits
    EXPECT_NEAR(rounded[0], exact[0], 4 * kUnit * exact[0]);
    EXPECT_LT(std::sqrt(off / whole_length), 8 * kUnit);
    EXPECT_GT(off, 0);
    EXPECT_EQ(gradients(DType::bf16, true), rounded);
  }
}

}  // namespace
}  // namespace tessera::beit3
