#include "nn/optim/muon.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "autograd/autograd.h"
#include "nn/optim/clip.h"
#include "tensor/ops/ops.h"
#include "tests/testing/errors.h"

namespace {

using namespace tessera;
using namespace tessera::nn;

constexpr TensorOptions kF64{.dtype = DType::f64};

Tensor random_leaf(const Shape& shape, uint64_t seed) {
  return parameter(normal(shape, RandomKey{seed}, kF64));
}

/// Makes dL/dp = g exactly.
void give_gradient(const Tensor& p, const Tensor& g) {
  zero_grad(p);
  backward(sum(p * g));
}

/// A matrix as plain numbers.
struct Matrix {
  int64_t rows, cols;
  std::vector<double> x;
  double at(int64_t r, int64_t c) const { return x[static_cast<size_t>(r * cols + c)]; }
  double& at(int64_t r, int64_t c) { return x[static_cast<size_t>(r * cols + c)]; }
};

Matrix times(const Matrix& a, const Matrix& b) {
  Matrix c{a.rows, b.cols, std::vector<double>(static_cast<size_t>(a.rows * b.cols))};
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < b.cols; ++j) {
      for (int64_t k = 0; k < a.cols; ++k) c.at(i, j) += a.at(i, k) * b.at(k, j);
    }
  }
  return c;
}

Matrix transposed(const Matrix& a) {
  Matrix b{a.cols, a.rows, a.x};
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < a.cols; ++j) b.at(j, i) = a.at(i, j);
  }
  return b;
}

/// The iteration as the header says, by loops.
Matrix polar_factor(Matrix x) {
  if (x.rows > x.cols) return transposed(polar_factor(transposed(x)));
  double squares = 0;
  for (double e : x.x) squares += e * e;
  for (double& e : x.x) e /= std::sqrt(squares) + 1e-7;
  for (int i = 0; i < 5; ++i) {
    const Matrix a = times(x, transposed(x)), aa = times(a, a);
    Matrix p = a;
    for (size_t k = 0; k < p.x.size(); ++k) p.x[k] = -4.7750 * a.x[k] + 2.0315 * aa.x[k];
    const Matrix px = times(p, x);
    for (size_t k = 0; k < x.x.size(); ++k) x.x[k] = 3.4445 * x.x[k] + px.x[k];
  }
  return x;
}

void expect_near(const Tensor& x, const std::vector<double>& y, double bound, const char* what) {
  const std::vector<double> a = x.to_vector<double>();
  ASSERT_EQ(a.size(), y.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], y[i], bound) << what << ' ' << i;
}

/// A parameter of 3 x `width` rows that is published as three matrices.
NamedParameter fused(int64_t width, uint64_t seed) {
  NamedParameter p{"q", random_leaf({3 * width, width}, seed), {}};
  for (int64_t i = 0; i < 3; ++i) {
    p.slices.push_back(
        {std::string(1, "qkv"[i]), FieldKind::parameter, p.tensor, i * width, (i + 1) * width});
  }
  return p;
}

TEST(Muon, AgreesWithPlainLoopsOverGroupsPiecesAndAverages) {
  const MuonSettings settings{.lr = 0.01, .momentum = 0.9, .average_decay = 0.8};
  const std::vector<NamedParameter> all = {
      {"wide", random_leaf({3, 7}, 1), {}}, {"tall", random_leaf({8, 5}, 2), {}}, fused(4, 3)};
  const double scales[] = {1, 0.5, 1}, decays[] = {0.1, 0, 0.3};
  std::vector<ParamGroup> groups;
  struct Reference {
    int64_t rows;  // of each matrix
    std::vector<double> p, m, average;
  };
  std::vector<Reference> references;
  for (size_t i = 0; i < all.size(); ++i) {
    groups.push_back({"g" + std::to_string(i), {all[i]}, scales[i], decays[i]});
    const std::vector<double> p = all[i].tensor.to_vector<double>();
    references.push_back({i == 2 ? 4 : all[i].tensor.size(0), p, std::vector<double>(p.size()), p});
  }
  Muon optimizer(groups, settings);
  for (uint64_t step = 0; step < 4; ++step) {
    const double lr = 0.01 * static_cast<double>(step + 1);
    optimizer.set_lr(lr);
    for (size_t i = 0; i < all.size(); ++i) {
      const Tensor g = normal(all[i].tensor.shape(), RandomKey{50 + 10 * step + i}, kF64);
      give_gradient(all[i].tensor, g);
      Reference& r = references[i];
      const std::vector<double> gradient = g.to_vector<double>();
      const int64_t cols = all[i].tensor.size(1);
      const size_t size = static_cast<size_t>(r.rows * cols);
      for (size_t first = 0; first < r.p.size(); first += size) {
        Matrix direction{r.rows, cols, std::vector<double>(size)};
        for (size_t k = 0; k < size; ++k) {
          double& m = r.m[first + k];
          m = 0.9 * m + 0.1 * gradient[first + k];
          direction.x[k] = 0.9 * m + 0.1 * gradient[first + k];
        }
        const Matrix o = polar_factor(direction);
        const double rate = lr * scales[i];
        const double length = rate * 0.2 * std::sqrt(static_cast<double>(std::max(r.rows, cols)));
        for (size_t k = 0; k < size; ++k) {
          double& p = r.p[first + k];
          p = p - rate * decays[i] * p - length * o.x[k];
          r.average[first + k] = 0.8 * r.average[first + k] + 0.2 * p;
        }
      }
    }
    const StepReport report = optimizer.step();
    EXPECT_EQ(report.updated, 3);
    EXPECT_EQ(report.skipped, 0);
  }
  for (size_t i = 0; i < all.size(); ++i) {
    expect_near(all[i].tensor, references[i].p, 1e-12, "parameter");
  }
  const StateDict state = optimizer.state(), averages = optimizer.averages();
  EXPECT_EQ(state.size(), 10u);
  expect_near(state.at("momentum.tall"), references[1].m, 1e-13, "momentum");
  expect_near(averages.at("wide"), references[0].average, 1e-12, "average");
  const std::vector<double>& third = references[2].average;
  expect_near(averages.at("v"), {third.begin() + 32, third.end()}, 1e-12, "average of a piece");
}

/// Singular values come near 1: the iteration is built for those of 0.002 of the norm and more.
TEST(Muon, MakesMatricesNearlyOrthogonal) {
  for (const Shape& shape : {Shape{2, 6, 6}, Shape{3, 5, 40}, Shape{1, 1, 9}}) {
    const Tensor x = normal(shape, RandomKey{4}, kF64);
    const Tensor o = orthogonalised(x);
    EXPECT_EQ(o.shape(), shape);
    const Tensor gram = matmul(o, o, {.transpose_b = true});
    for (int64_t n = 0; n < shape[0]; ++n) {
      // Powers of the Gram matrix find its largest eigenvalue, those of 2 - it the smallest.
      for (const bool largest : {true, false}) {
        Tensor g = select(gram, 0, n);
        if (!largest) g = eye(shape[1], kF64) * 2.0 - g;
        Tensor v = ones({shape[1], 1}, kF64) + normal({shape[1], 1}, RandomKey{5}, kF64) * 0.1;
        double value = 0;
        for (int i = 0; i < 200; ++i) {
          v = matmul(g, v);
          value = sqrt(sum(square(v))).item<double>();
          v = v / full({}, value, kF64);
        }
        const double singular = std::sqrt(largest ? value : 2 - value);
        EXPECT_GT(singular, 0.68);
        EXPECT_LT(singular, 1.21);
      }
    }
  }
  const Tensor none = orthogonalised(zeros({1, 3, 4}, kF64));
  expect_near(none, std::vector<double>(12), 0, "zeros");
}

TEST(Muon, ContinuesFromASavedState) {
  const auto make = [](const Tensor& x) {
    return Muon({{"all", {{"w", x, {}}}, 1, 0.1}}, {.lr = 0.1, .average_decay = 0.5});
  };
  const Tensor a = random_leaf({4, 6}, 1), b = random_leaf({4, 6}, 2);
  Muon first = make(a);
  const auto go = [](Muon& optimizer, const Tensor& x, uint64_t step) {
    give_gradient(x, normal({4, 6}, RandomKey{step}, kF64));
    optimizer.step();
  };
  go(first, a, 10);
  Muon second = make(b);
  {
    const NoGrad silent;
    copy_into(a, b);
  }
  second.load(first.state());
  go(first, a, 11);
  go(second, b, 11);
  EXPECT_EQ(a.to_vector<double>(), b.to_vector<double>());
  EXPECT_EQ(first.averages().at("w").to_vector<double>(),
            second.averages().at("w").to_vector<double>());
  EXPECT_ERROR(second.load({}), StateError,
               "muon: 2 of 2 names missing: \"average.w\", \"momentum.w\"");
}

TEST(Muon, ABadGradientScaledToNothingLeavesOnlyDecay) {
  const Tensor x = random_leaf({2, 3}, 1);
  const std::vector<double> before = x.to_vector<double>();
  Muon optimizer({{"all", {{"w", x, {}}}, 1, 0.5}}, {.lr = 0.1});
  give_gradient(x, full({2, 3}, std::numeric_limits<double>::infinity(), kF64));
  const Tensor norm = grad_norm({{"w", x, {}}});
  optimizer.step(clip_scale(norm, 1));
  std::vector<double> expected = before;
  for (double& e : expected) e *= 1 - 0.1 * 0.5;
  expect_near(x, expected, 1e-15, "parameter");
}

TEST(Muon, APlanChangesNothing) {
  const Tensor x = random_leaf({2, 3}, 1);
  const std::vector<double> before = x.to_vector<double>();
  Muon optimizer({{"all", {{"w", x, {}}}, 1, 0}}, {.lr = 0.1});
  give_gradient(x, ones({2, 3}, kF64));
  const Muon::Plan plan = optimizer.plan();
  EXPECT_EQ(x.to_vector<double>(), before);
  expect_near(optimizer.state().at("momentum.w"), std::vector<double>(6), 0, "momentum");
  optimizer.apply(plan);
  EXPECT_NE(x.to_vector<double>(), before);
}

TEST(Muon, RefusesWhatItCannotDo) {
  const Tensor matrix = random_leaf({2, 3}, 1), vector = random_leaf({3}, 2);
  EXPECT_ERROR(Muon({{"all", {{"b", vector, {}}}, 1, 0}}), ShapeError,
               "muon: parameter \"b\" is (3), but must be a matrix; give others to AdamW");
  EXPECT_ERROR(Muon({{"all", {{"a", matrix, {}}, {"b", matrix, {}}}, 1, 0}}), StateError,
               "muon: parameter \"b\" was given twice");
  EXPECT_ERROR(Muon({{"all", {{"a", matrix, {}}}, 1, 0}}, {.momentum = 1}), ValueError,
               "muon: momentum is 1, but must be in [0, 1)");
  EXPECT_ERROR(Muon({{"all", {{"a", matrix.detach(), {}}}, 1, 0}}), StateError,
               "muon: parameter \"a\" is no leaf; mark it with requires_grad, or leave it out");
  EXPECT_ERROR(orthogonalised(zeros({1, 4, 3})), ShapeError,
               "orthogonalised: x is (1, 4, 3); expected (N, R, C) with R <= C");
  Muon strict({{"all", {{"a", matrix, {}}}, 1, 0}});
  EXPECT_ERROR(strict.step(), StateError,
               "muon: parameter \"a\" has no gradient; was backward() called?");
  Muon lenient({{"all", {{"a", matrix, {}}}, 1, 0}}, {.missing_grad = MissingGrad::skip});
  EXPECT_EQ(lenient.step().skipped, 1);
  EXPECT_ERROR(lenient.averages(), StateError,
               "muon: no averages are kept; set average_decay to keep them");
}

}  // namespace
