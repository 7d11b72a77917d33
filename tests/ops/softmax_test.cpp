#include "tensor/ops/softmax.h"

#include "autograd/autograd.h"
#include "tests/ops/all_cases.h"
#include "tests/testing/op_test.h"
#include "tests/testing/tensors.h"

namespace tessera::testing {

std::vector<OpCase> softmax_cases() {
  const CaseFunction last = [](const Tensors& in) { return composed::softmax(in[0]); };
  const Tensors empty{zeros({0, 4}, {DType::f64})};
  return {
      {.name = "rows",
       .inputs = {random({3, 7}, 61)},
       .run = [](const Tensors& in) { return softmax(in[0]); },
       .expected = last,
       .composed = true,
       .empty = empty,
       .length = 7},
      {.name = "of_rank_four",
       .inputs = {random({2, 2, 2, 5}, 62)},
       .run = [](const Tensors& in) { return softmax(in[0]); },
       .expected = last,
       .composed = true,
       .length = 5},
      {.name = "wide",
       .inputs = {random({2, 67}, 63)},
       .run = [](const Tensors& in) { return softmax(in[0]); },
       .expected = last,
       .composed = true,
       .length = 67},
      {.name = "axis_zero",
       .inputs = {random({4, 3}, 64)},
       .run = [](const Tensors& in) { return softmax(in[0], 0); },
       .expected = [](const Tensors& in) { return transpose(composed::softmax(transpose(in[0]))); },
       .composed = true,
       .length = 4},
      {.name = "one_column",
       .inputs = {random({3, 1}, 65)},
       .run = [](const Tensors& in) { return softmax(in[0]); },
       .expected = last,
       .composed = true},
      {.name = "log_softmax",
       .inputs = {random({3, 7}, 66)},
       .run = [](const Tensors& in) { return log_softmax(in[0]); },
       .expected = [](const Tensors& in) { return log(composed::softmax(in[0])); },
       .composed = true,
       .empty = empty,
       .length = 7},
  };
}

INSTANTIATE_TEST_SUITE_P(Softmax, OpTest, ::testing::ValuesIn(softmax_cases()), case_name);

TEST(Softmax, MaskedPlacesHaveNoGradient) {
  const Tensor x = requires_grad(from_values({1, -INFINITY, 1}));
  const Tensor y = softmax(x);
  expect_values(y, {3}, {0.5, 0, 0.5});
  backward(y, {.gradient = from_values({1, 5, 0})});
  expect_values(x.grad(), {3}, {0.25, 0, -0.25});
}

}  // namespace tessera::testing
