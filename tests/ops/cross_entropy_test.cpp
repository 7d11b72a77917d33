#include "tensor/ops/cross_entropy.h"

#include "autograd/autograd.h"
#include "tests/ops/op_table.h"
#include "tests/testing/reference.h"

namespace tessera::testing {
namespace {

using Labels = std::vector<int64_t>;

Tensor labels_of(const Labels& labels) {
  return from_data(labels, {static_cast<int64_t>(labels.size())});
}

Grid logits_of(const Tensors& in) {
  return reference::grouped_linear(in[0], {{0}}, std::span(&in[1], 1), std::span(&in[2], 1));
}

OpCase rows(const char* name, const Labels& labels, const CrossEntropyOptions& options,
            int64_t classes = 6) {
  const Tensor index = labels_of(labels);
  return {
      .op = "cross_entropy_rows",
      .name = name,
      .inputs = {random({index.size(0), classes}, 111) * 2.0},
      .run = [=](const Tensors& in) { return cross_entropy_rows(in[0], index, options).loss; },
      .reference =
          [=](const Tensors& in) {
            return reference::cross_entropy(reference::exact(in[0]), labels, options);
          },
      .composed =
          [=](const Tensors& in) { return composed::cross_entropy_rows(in[0], index, options); },
      .length = 2 * classes};
}

OpCase linear_rows(const char* name, const Labels& labels, const CrossEntropyOptions& options,
                   bool bias, int64_t width = 3, int64_t classes = 6) {
  const Tensor index = labels_of(labels);
  return {.op = "linear_cross_entropy_rows",
          .name = name,
          .inputs = {random({index.size(0), width}, 112), random({classes, width}, 113),
                     bias ? random({classes}, 114) : Tensor()},
          .run =
              [=](const Tensors& in) {
                return linear_cross_entropy_rows(in[0], in[1], in[2], index, options).loss;
              },
          .reference =
              [=](const Tensors& in) {
                return reference::cross_entropy(logits_of(in), labels, options);
              },
          .composed =
              [=](const Tensors& in) {
                return composed::linear_cross_entropy_rows(in[0], in[1], in[2], index, options);
              },
          .parameters = 1,
          .length = 40};
}

/// The mean over the rows that count.
Grid mean_of(const Grid& losses, const Labels& labels, int64_t ignored) {
  reference::Row counted;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] != ignored) counted.push_back(losses.elements[i]);
  }
  return {{}, {reference::mean(counted)}};
}

/// The index of the first largest logit: exact.
OpCase best(const char* name, const Labels& labels, int64_t classes) {
  const Tensor index = labels_of(labels);
  return {.op = "cross_entropy_rows",
          .name = name,
          .inputs = {random({index.size(0), classes}, 119)},
          .run = [=](const Tensors& in) { return cross_entropy_rows(in[0], index).best; },
          .reference =
              [=](const Tensors& in) {
                return Grid::of({index.size(0)}, [&](const auto& at) {
                  int64_t first = 0;
                  for (int64_t v = 1; v < classes; ++v) {
                    if (element(in[0], {at[0], v}) > element(in[0], {at[0], first})) first = v;
                  }
                  return Rounded(static_cast<double>(first));
                });
              },
          .differentiable = false};
}

}  // namespace

std::vector<OpCase> cross_entropy_cases() {
  const Labels labels{3, 0, 5, 3}, some{3, -100, 5, -100};
  const CrossEntropyOptions smooth{.label_smoothing = 0.1};
  const Tensor some_index = labels_of(some);
  return {
      rows("plain", labels, {}),
      rows("smoothed", labels, smooth),
      rows("with ignored", some, smooth),
      rows("33 classes", {32, 0, 7}, smooth, 33),
      rows("one class", {0, 0}, {}, 1),
      rows("another ignored label", {3, 1, 2}, {.ignore_index = 1}),
      best("best", labels, 6),
      best("best of 40", {1, 2, 3}, 40),
      linear_rows("plain", labels, {}, true),
      linear_rows("smoothed, with ignored", some, smooth, true),
      linear_rows("without bias", labels, {}, false),
      linear_rows("wide", {20, 1, -100}, smooth, true, 17, 33),
      {.op = "cross_entropy",
       .name = "mean",
       .inputs = {random({4, 6}, 115)},
       .run = [=](const Tensors& in) { return cross_entropy(in[0], some_index, smooth); },
       .reference =
           [=](const Tensors& in) {
             return mean_of(reference::cross_entropy(reference::exact(in[0]), some, smooth), some,
                            -100);
           },
       .composed =
           [=](const Tensors& in) {
             return sum(composed::cross_entropy_rows(in[0], some_index, smooth)) * 0.5;
           },
       .length = 24},
      {.op = "linear_cross_entropy",
       .name = "mean",
       .inputs = {random({4, 3}, 116), random({6, 3}, 117), random({6}, 118)},
       .run =
           [=](const Tensors& in) { return linear_cross_entropy(in[0], in[1], in[2], some_index); },
       .reference =
           [=](const Tensors& in) {
             return mean_of(reference::cross_entropy(logits_of(in), some, {}), some, -100);
           },
       .composed =
           [=](const Tensors& in) {
             return sum(composed::linear_cross_entropy_rows(in[0], in[1], in[2], some_index, {})) *
                    0.5;
           },
       .parameters = 1,
       .length = 40},
  };
}

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
