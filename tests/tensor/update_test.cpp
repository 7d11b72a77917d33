#include "tensor/ops/update.h"

#include <gtest/gtest.h>

#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace tessera {
namespace {

using testing::expect_close;
using testing::expect_equal;
using testing::expect_values;
using testing::random;
using testing::tolerance;

AdamWItem item(const Shape& shape, uint64_t seed, DType dtype, bool average) {
  return {.param = random(shape, seed, dtype),
          .grad = random(shape, seed + 1, dtype),
          .m = random(shape, seed + 2, dtype),
          .v = square(random(shape, seed + 3, dtype)),
          .average = average ? random(shape, seed + 4, dtype) : Tensor(),
          .lr = 0.01 * static_cast<double>(seed),
          .weight_decay = 0.1};
}

TEST(AdamW, EqualsPlainOps) {
  for (DType dtype : {DType::f64, DType::f32}) {
    const std::vector<AdamWItem> items = {item({5, 7}, 10, dtype, true), item({}, 20, dtype, false),
                                          item({1000}, 30, dtype, true),
                                          item({0, 3}, 40, dtype, false)};
    const double b1 = 0.8, b2 = 0.95, eps = 1e-6, decay = 0.9, scale = 0.25;
    const int64_t step = 3;
    struct Expected {
      Tensor p, m, v, average;
    };
    std::vector<Expected> expected;
    for (const AdamWItem& i : items) {
      const Tensor g = i.grad.to(DType::f64) * scale, p0 = i.param.to(DType::f64);
      const Tensor m = i.m.to(DType::f64) * b1 + g * (1 - b1);
      const Tensor v = i.v.to(DType::f64) * b2 + square(g) * (1 - b2);
      const double c1 = 1 - std::pow(b1, step), c2 = 1 - std::pow(b2, step);
      const Tensor p =
          p0 - p0 * (i.lr * i.weight_decay) - (m * (i.lr / c1)) / (sqrt(v * (1 / c2)) + eps);
      Tensor average;
      if (i.average.defined()) average = i.average.to(DType::f64) * decay + p * (1 - decay);
      expected.push_back({p, m, v, average});
    }
    adamw_update(items, {.beta1 = b1,
                         .beta2 = b2,
                         .eps = eps,
                         .step = step,
                         .average_decay = decay,
                         .grad_scale = scalar(scale, {.dtype = dtype})});
    for (size_t i = 0; i < items.size(); ++i) {
      const double bound = tolerance(dtype, 1, 8);
      expect_close(items[i].param, expected[i].p, bound);
      expect_close(items[i].m, expected[i].m, bound);
      expect_close(items[i].v, expected[i].v, bound);
      if (items[i].average.defined()) expect_close(items[i].average, expected[i].average, bound);
      EXPECT_STREQ(items[i].param.storage()->last_change(), "adamw_update");
    }
  }
}

TEST(AdamW, AZeroScaleSilencesInfiniteGradients) {
  AdamWItem i = item({4}, 1, DType::f32, false);
  i.grad = from_values({INFINITY, NAN, -INFINITY, 1});
  const Tensor norm = global_norm(std::span(&i.grad, 1));
  adamw_update(std::span(&i, 1), {.grad_scale = clip_scale(norm, 1)});
  for (float x : i.param.to_vector<float>()) EXPECT_TRUE(std::isfinite(x));
  for (float x : i.v.to_vector<float>()) EXPECT_TRUE(std::isfinite(x));
}

TEST(AdamW, RefusesWhatDoesNotFit) {
  AdamWItem i = item({4}, 1, DType::f32, false);
  i.grad = {};
  EXPECT_ERROR(adamw_update(std::span(&i, 1), {}), StateError,
               "adamw_update: parameter 0 (4) has no gradient; was backward() called?");
  i.grad = zeros({5});
  EXPECT_ERROR(adamw_update(std::span(&i, 1), {}), ShapeError,
               "adamw_update: grad of parameter 0 is (5), but it is (4)");
  i.grad = zeros({4});
  EXPECT_ERROR(adamw_update(std::span(&i, 1), {.step = 0}), ValueError,
               "adamw_update: step is 0, but counts from 1");
  i.param = slice(zeros({8}), 0, 0, 8, 2);
  EXPECT_ERROR(adamw_update(std::span(&i, 1), {}), StateError,
               "adamw_update: parameter 0 (4) or a state of it is not contiguous");
}

TEST(GlobalNorm, IsThatOfAllTogether) {
  for (DType dtype : {DType::f64, DType::f32}) {
    const Tensors all = {random({100, 33}, 1, dtype), random({}, 2, dtype),
                         transpose(random({7, 5}, 3, dtype)), zeros({0}, {.dtype = dtype})};
    double total = 0;
    for (const Tensor& t : all) {
      for (double v : t.to_vector<double>()) total += v * v;
    }
    const Tensor norm = global_norm(all);
    EXPECT_EQ(norm.dtype(), dtype);
    EXPECT_NEAR(norm.item<double>(), std::sqrt(total), tolerance(dtype, 1, std::sqrt(total)));
  }
  EXPECT_EQ(global_norm(Tensors{}).item<float>(), 0);
  // Squares beyond the range of f32.
  EXPECT_NEAR(global_norm(Tensors{full({4}, 1e30)}).item<double>(), 2e30, 1e24);
}

TEST(ClipScale, IsOneBelowAndZeroForNonsense) {
  EXPECT_EQ(clip_scale(scalar(0.5), 1).item<float>(), 1);
  EXPECT_NEAR(clip_scale(scalar(4), 1).item<double>(), 0.25, 1e-6);
  EXPECT_EQ(clip_scale(scalar(INFINITY), 1).item<float>(), 0);
  EXPECT_EQ(clip_scale(scalar(NAN), 1).item<float>(), 0);
  EXPECT_EQ(clip_scale(scalar(0), 1).item<float>(), 1);
}

}  // namespace
}  // namespace tessera
