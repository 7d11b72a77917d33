#include "soft_cap.h"

#include <cmath>

#include <gtest/gtest.h>

#include "autograd/autograd.h"
#include "tensor/ops/ops.h"

namespace {

using namespace tessera;
using new_op::soft_cap;

/// The same in the library's ops: what value and derivatives are compared with.
Tensor composed(const Tensor& x, double cap) { return cap * tanh(x / cap); }

/// Derivatives of orders 0 … `order` of the sum of f at x, as lists.
template <class F>
std::vector<std::vector<double>> derivatives(F f, const Tensor& at, int order) {
  const Tensor x = requires_grad(at.detach());
  Tensor y = f(x);
  std::vector<std::vector<double>> all{y.to_vector<double>()};
  for (int i = 0; i < order; ++i) {
    y = grad(sum(y), {x}, {.create_graph = true})[0];
    all.push_back(y.to_vector<double>());
  }
  return all;
}

class SoftCap : public testing::TestWithParam<DType> {};

TEST_P(SoftCap, AgreesWithItsComposition) {
  const double tolerance = GetParam() == DType::f64 ? 1e-12 : 1e-4;
  const Tensor x = normal({3, 5, 7}, RandomKey{1}, {.dtype = GetParam()}) * 4.0;
  for (const Tensor& input : {x, transpose(x), slice(x, 1, 1, 4)}) {
    const auto ours = derivatives([](const Tensor& t) { return soft_cap(t, 3); }, input, 3);
    const auto theirs = derivatives([](const Tensor& t) { return composed(t, 3); }, input, 3);
    for (size_t order = 0; order < ours.size(); ++order) {
      ASSERT_EQ(ours[order].size(), theirs[order].size());
      for (size_t i = 0; i < ours[order].size(); ++i) {
        EXPECT_NEAR(ours[order][i], theirs[order][i], tolerance)
            << "derivative " << order << ", element " << i;
      }
    }
  }
}

TEST_P(SoftCap, NeverExceedsItsCap) {
  const Tensor x = normal({1000}, RandomKey{2}, {.dtype = GetParam()}) * 100.0;
  EXPECT_LE(max(abs(soft_cap(x, 2))).item<double>(), 2);
  EXPECT_EQ(soft_cap(zeros({0}, {.dtype = GetParam()}), 2).numel(), 0);
}

INSTANTIATE_TEST_SUITE_P(DTypes, SoftCap, testing::Values(DType::f32, DType::f64),
                         [](const auto& test) { return std::string(to_string(test.param)); });

TEST(SoftCapErrors, SayWhatIsWrong) {
  EXPECT_THROW(soft_cap(zeros({2}), 0), ValueError);
  EXPECT_THROW(soft_cap(zeros({2}, {.dtype = DType::i64}), 1), DTypeError);
}

}  // namespace
