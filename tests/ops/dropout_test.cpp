#include "tensor/ops/dropout.h"

#include "autograd/autograd.h"
#include "tests/ops/all_cases.h"
#include "tests/testing/op_test.h"
#include "tests/testing/tensors.h"

namespace tessera::testing {

std::vector<OpCase> dropout_cases() {
  const RandomKey key{5};
  const std::vector<int64_t> samples{7, 7, 2, 9};
  return {
      // Not in f32: its uniform numbers have fewer bits, so another mask.
      {.name = "dropout",
       .inputs = {random({4, 5}, 121)},
       .run = [=](const Tensors& in) { return dropout(in[0], 0.3, key); },
       .expected = [=](const Tensors& in) { return composed::dropout(in[0], 0.3, key); },
       .composed = true,
       .empty = {zeros({0, 5}, {DType::f64})},
       .narrow = false},
      {.name = "drop_path",
       .inputs = {random({4, 5}, 122)},
       .run =
           [=](const Tensors& in) {
             return drop_path(in[0], drop_path_scale(samples, 0.4, key, in[0].options()));
           },
       .expected =
           [=](const Tensors& in) {
             const Tensor scale = drop_path_scale(samples, 0.4, key, in[0].options());
             return by_position(in[0].shape(), [&](const auto& at) {
               return element(in[0], at) * element(scale, {at[0]});
             });
           }},
  };
}

INSTANTIATE_TEST_SUITE_P(Dropout, OpTest, ::testing::ValuesIn(dropout_cases()), case_name);

TEST(Dropout, TheGradientSeesTheSameMask) {
  const Tensor x = requires_grad(ones({1000}));
  const Tensor y = dropout(x, 0.25, RandomKey{3});
  backward(y, {.gradient = ones({1000})});
  expect_equal(x.grad(), y.detach());
}

}  // namespace tessera::testing
