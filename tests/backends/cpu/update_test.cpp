#include <limits>

#include <gtest/gtest.h>

#include "backends/cpu/cpu_backend.h"
#include "tests/backends/cpu/host_array.h"

namespace tessera {
namespace {

TEST(GlobalNorm, OverManyTensors) {
  for (DType dtype : {DType::f32, DType::f64}) {
    std::vector<HostArray> tensors;
    double squares = 0;
    for (const Shape& shape : {Shape{5}, Shape{0}, Shape{}, Shape{130, 200}, Shape{70001}}) {
      tensors.emplace_back(dtype, shape);
      HostArray& x = tensors.back();
      x.random(numel(shape) + 1);
      for (int64_t i = 0; i < x.numel(); ++i) squares += x.get(i) * x.get(i);
    }
    std::vector<ConstView> views;
    for (HostArray& x : tensors) views.push_back(x.in());
    HostArray y(dtype, {});
    cpu_backend().global_norm(views, y.view());
    // Summed in f64 and rounded once.
    EXPECT_TRUE(
        close(y.get(0), std::sqrt(squares), (epsilon_of(dtype) + 1e-13) * std::sqrt(squares)));
    cpu_backend().global_norm({}, y.view());
    EXPECT_EQ(y.get(0), 0);
  }
}

TEST(GlobalNorm, KeepsNanAndDoesNotOverflow) {
  HostArray x(DType::f32, {40}), y(DType::f32, {});
  x.fill([](int64_t) { return 1e30; });
  const ConstView views[] = {x.in()};
  cpu_backend().global_norm(views, y.view());
  EXPECT_NEAR(y.get(0) / (1e30 * std::sqrt(40.0)), 1, 1e-6);
  x.set(33, std::numeric_limits<double>::quiet_NaN());
  cpu_backend().global_norm(views, y.view());
  EXPECT_TRUE(std::isnan(y.get(0)));
}

struct Parameter {
  Parameter(DType dtype, int64_t n, uint64_t key)
      : p(dtype, {n}), g(dtype, {n}), m(dtype, {n}), v(dtype, {n}), average(dtype, {n}) {
    p.random(key);
    m.fill([](int64_t) { return 0; });
    v.fill([](int64_t) { return 0; });
    average.fill([&](int64_t i) { return p.get(i); });
  }
  HostArray p, g, m, v, average;
};

/// The published algorithm in f64, several steps, tensors of several sizes in one call.
TEST(AdamW, AgainstTheFormula) {
  for (DType dtype : {DType::f32, DType::f64}) {
    for (bool average : {false, true}) {
      std::vector<Parameter> parameters;
      for (int64_t n :
           {int64_t{1}, int64_t{15}, int64_t{16}, int64_t{33}, int64_t{0}, int64_t{40001}}) {
        parameters.emplace_back(dtype, n, static_cast<uint64_t>(n) + 3);
      }
      struct Reference {
        double p, m = 0, v = 0, average;
      };
      std::vector<std::vector<Reference>> reference;
      for (Parameter& t : parameters) {
        reference.emplace_back();
        for (int64_t i = 0; i < t.p.numel(); ++i) {
          reference.back().push_back({.p = t.p.get(i), .average = t.p.get(i)});
        }
      }
      HostArray scale(dtype, {});
      scale.set(0, 0.5);
      AdamWArgs args{.beta1 = 0.9,
                     .beta2 = 0.98,
                     .eps = 1e-6,
                     .average_decay = 0.75,
                     .grad_scale = scale.in()};
      for (args.step = 1; args.step <= 5; ++args.step) {
        std::vector<AdamWTensor> tensors;
        for (size_t k = 0; k < parameters.size(); ++k) {
          Parameter& t = parameters[k];
          t.g.random(static_cast<uint64_t>(100 * args.step) + k);
          const double lr = 1e-2 / static_cast<double>(k + 1), decay = k % 2 == 0 ? 0.05 : 0;
          tensors.push_back({.param = t.p.view(),
                             .grad = t.g.in(),
                             .m = t.m.view(),
                             .v = t.v.view(),
                             .average = average ? t.average.view() : View{},
                             .lr = lr,
                             .weight_decay = decay});
          const double c1 = 1 - std::pow(0.9, static_cast<double>(args.step));
          const double c2 = 1 - std::pow(0.98, static_cast<double>(args.step));
          for (int64_t i = 0; i < t.p.numel(); ++i) {
            Reference& r = reference[k][static_cast<size_t>(i)];
            const double g = 0.5 * t.g.get(i);
            r.p -= lr * decay * r.p;
            r.m = 0.9 * r.m + (1 - 0.9) * g;
            r.v = 0.98 * r.v + (1 - 0.98) * g * g;
            r.p -= lr / c1 * r.m / (std::sqrt(r.v) / std::sqrt(c2) + 1e-6);
            r.average = 0.75 * r.average + 0.25 * r.p;
          }
        }
        cpu_backend().adamw(tensors, args);
      }
      // Five steps of a few roundings each; one step moves by lr at most.
      const double tolerance = 32 * epsilon_of(dtype) * 2;
      for (size_t k = 0; k < parameters.size(); ++k) {
        Parameter& t = parameters[k];
        for (int64_t i = 0; i < t.p.numel(); ++i) {
          const Reference& r = reference[k][static_cast<size_t>(i)];
          ASSERT_TRUE(close(t.p.get(i), r.p, tolerance)) << k << " " << i;
          ASSERT_TRUE(close(t.m.get(i), r.m, tolerance));
          ASSERT_TRUE(close(t.v.get(i), r.v, tolerance));
          if (average) {
            ASSERT_TRUE(close(t.average.get(i), r.average, tolerance));
          }
        }
        ASSERT_TRUE(t.p.untouched_outside());
        ASSERT_TRUE(t.average.untouched_outside());
      }
    }
  }
}

TEST(AdamW, AZeroScaleIgnoresGradientsThatAreNotFinite) {
  Parameter t(DType::f32, 20, 1);
  t.g.fill([](int64_t) { return std::numeric_limits<double>::infinity(); });
  HostArray scale(DType::f32, {});
  scale.set(0, 0);
  const HostArray before = t.p;
  const AdamWTensor tensor{.param = t.p.view(),
                           .grad = t.g.in(),
                           .m = t.m.view(),
                           .v = t.v.view(),
                           .average = {},
                           .lr = 0.1,
                           .weight_decay = 0};
  cpu_backend().adamw({&tensor, 1}, {.grad_scale = scale.in()});
  EXPECT_EQ(before.bytes(), t.p.bytes());
}

}  // namespace
}  // namespace tessera
