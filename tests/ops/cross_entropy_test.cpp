#include "tensor/ops/cross_entropy.h"

#include "autograd/autograd.h"
#include "tests/ops/all_cases.h"
#include "tests/testing/op_test.h"
#include "tests/testing/tensors.h"

namespace tessera::testing {
namespace {

Tensor labels_of(const std::vector<int64_t>& labels) {
  return from_data(labels, {static_cast<int64_t>(labels.size())});
}

OpCase rows(const char* name, const Tensor& labels, const CrossEntropyOptions& options) {
  return {
      .name = name,
      .inputs = {random({labels.size(0), 6}, 111)},
      .run = [=](const Tensors& in) { return cross_entropy_rows(in[0], labels, options).loss; },
      .expected =
          [=](const Tensors& in) { return composed::cross_entropy_rows(in[0], labels, options); },
      .composed = true,
      .length = 12};
}

OpCase linear_rows(const char* name, const Tensor& labels, const CrossEntropyOptions& options,
                   bool bias) {
  return {.name = name,
          .inputs = {random({labels.size(0), 3}, 112), random({6, 3}, 113),
                     bias ? random({6}, 114) : Tensor()},
          .run =
              [=](const Tensors& in) {
                return linear_cross_entropy_rows(in[0], in[1], in[2], labels, options).loss;
              },
          .expected =
              [=](const Tensors& in) {
                return composed::linear_cross_entropy_rows(in[0], in[1], in[2], labels, options);
              },
          .composed = true,
          .length = 40};
}

}  // namespace

std::vector<OpCase> cross_entropy_cases() {
  const Tensor labels = labels_of({3, 0, 5, 3}), some = labels_of({3, -100, 5, -100});
  const CrossEntropyOptions smooth{.label_smoothing = 0.1};
  std::vector<OpCase> all{
      rows("rows", labels, {}),
      rows("rows_smoothed", labels, smooth),
      rows("rows_with_ignored", some, smooth),
      linear_rows("linear", labels, {}, true),
      linear_rows("linear_smoothed_with_ignored", some, smooth, true),
      linear_rows("linear_without_bias", labels, {}, false),
      {.name = "mean",
       .inputs = {random({4, 6}, 115)},
       .run = [=](const Tensors& in) { return cross_entropy(in[0], some, smooth); },
       .expected =
           [=](const Tensors& in) {
             return sum(composed::cross_entropy_rows(in[0], some, smooth)) * 0.5;
           },
       .composed = true,
       .length = 24},
      {.name = "linear_mean",
       .inputs = {random({4, 3}, 116), random({6, 3}, 117), random({6}, 118)},
       .run = [=](const Tensors& in) { return linear_cross_entropy(in[0], in[1], in[2], some); },
       .expected =
           [=](const Tensors& in) {
             return sum(composed::linear_cross_entropy_rows(in[0], in[1], in[2], some, {})) * 0.5;
           },
       .composed = true,
       .length = 40},
  };
  return all;
}

INSTANTIATE_TEST_SUITE_P(CrossEntropy, OpTest, ::testing::ValuesIn(cross_entropy_cases()),
                         case_name);

TEST(CrossEntropy, ByHand) {
  const Tensor logits =
      requires_grad(from_data(std::vector<double>{0, 0, 0, std::log(2.0)}, {2, 2}));
  const Tensor loss = cross_entropy(logits, labels_of({0, 1}));
  expect_values(loss, {}, {(std::log(2.0) + std::log(1.5)) / 2}, tolerance(DType::f64, 4));
  backward(loss);
  expect_values(logits.grad(), {2, 2}, {-0.25, 0.25, 1 / 6.0, -1 / 6.0}, tolerance(DType::f64, 4));
}

TEST(CrossEntropy, GradientsOfWeightsAccumulateInPlace) {
  const Tensor x = random({4, 3}, 1), labels = labels_of({3, 0, 5, 3});
  const Tensor w = requires_grad(random({6, 3}, 2)), b = requires_grad(random({6}, 3));
  auto step = [&] { backward(linear_cross_entropy(x, w, b, labels)); };
  step();
  const Tensor dw = w.grad() * 2.0, db = b.grad() * 2.0;
  step();
  expect_close(w.grad(), dw, tolerance(DType::f64, 10));
  expect_close(b.grad(), db, tolerance(DType::f64, 10));
}

}  // namespace tessera::testing
