#include "tensor/ops/softmax.h"

#include "autograd/autograd.h"
#include "tests/ops/op_table.h"
#include "tests/testing/reference.h"

namespace tessera::testing {
namespace {

/// f of every line of x along `axis`.
Grid along(const Tensor& x, int axis, reference::Row (*f)(const reference::Row&)) {
  if (axis < 0) axis += x.rank();
  return Grid::of(x.shape(), [&](const auto& at) {
    auto on_line = at;
    reference::Row line;
    for (int64_t i = 0; i < x.size(axis); ++i) {
      on_line[static_cast<size_t>(axis)] = i;
      line.emplace_back(element(x, on_line));
    }
    return f(line)[static_cast<size_t>(at[static_cast<size_t>(axis)])];
  });
}

reference::Row log_softmax_row(const reference::Row& row) {
  const Rounded lse = reference::log_sum_exp(row);
  reference::Row y;
  for (const Rounded& x : row) y.push_back(x - lse);
  return y;
}

/// Over the last axis: the composition, with the axis brought there and back.
Tensor composed_along(const Tensor& x, int64_t axis) {
  return transpose(composed::softmax(transpose(x, axis, -1)), axis, -1);
}

}  // namespace

std::vector<OpCase> softmax_cases() {
  struct Sample {
    Shape shape;
    int axis;
  };
  const Sample samples[] = {{{5}, -1},    {{3, 7}, -1},       {{3, 7}, 0},    {{2, 67}, -1},
                            {{3, 1}, -1}, {{2, 2, 2, 5}, -1}, {{2, 3, 4}, 1}, {{4, 16}, -1},
                            {{2, 33}, 1}, {{1, 4}, 0},        {{0, 4}, -1},   {{3, 0}, -1}};
  std::vector<OpCase> all;
  for (const auto& [shape, axis_] : samples) {
    const int axis = axis_;
    const std::string name = format("{} along {}", shape, axis);
    const Tensor x = random(shape, 61) * 2.0;
    all.push_back(
        {.op = "softmax",
         .name = name,
         .inputs = {x},
         .run = [axis](const Tensors& in) { return softmax(in[0], axis); },
         .reference = [axis](const Tensors& in) { return along(in[0], axis, reference::softmax); },
         .composed = [axis](const Tensors& in) { return composed_along(in[0], axis); },
         .length = shape.back() + 1});
    all.push_back(
        {.op = "log_softmax",
         .name = name,
         .inputs = {x},
         .run = [axis](const Tensors& in) { return log_softmax(in[0], axis); },
         .reference = [axis](const Tensors& in) { return along(in[0], axis, log_softmax_row); },
         .composed = [axis](const Tensors& in) { return log(composed_along(in[0], axis)); },
         .length = shape.back() + 1});
  }
  return all;
}

TEST(Softmax, MaskedPlacesHaveNoGradient) {
  const Tensor x = requires_grad(from_values({1, -INFINITY, 1}));
  const Tensor y = softmax(x);
  expect_values(y, {3}, {0.5, 0, 0.5});
  backward(y, {.gradient = from_values({1, 5, 0})});
  expect_values(x.grad(), {3}, {0.25, 0, -0.25});
}

}  // namespace tessera::testing
