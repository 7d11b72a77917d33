#include "tensor/ops/gelu_layer_norm.h"

#include "tests/ops/op_table.h"
#include "tests/testing/reference.h"

namespace tessera::testing {
namespace {

OpCase grouped(std::vector<int64_t> ends, int64_t width) {
  const RowGroups groups{std::move(ends)};
  const size_t n = groups.size();
  auto with = [=](auto f) {
    return [=](const Tensors& in) {
      const auto all = std::span(in).subspan(1);
      return f(in[0], groups, all.first(n), all.last(n), 1e-5);
    };
  };
  OpCase c{
      .op = "gelu_layer_norm",
      .name = format("{} groups of {} rows, width {}", n, groups.rows(), width),
      .inputs = {random({groups.rows(), width}, 91)},
      .run = with(gelu_layer_norm),
      .reference = with([](const Tensor& x, const RowGroups& g, auto gamma, auto beta, double eps) {
        return reference::grouped_norm(reference::mapped(reference::exact(x), reference::gelu), g,
                                       gamma, beta, eps);
      }),
      .composed = with(composed::gelu_layer_norm),
      .parameters = 1,
      .length = 8 * width};
  for (size_t i = 0; i < 2 * n; ++i) c.inputs.push_back(random({width}, 92 + i));
  return c;
}

}  // namespace

std::vector<OpCase> gelu_layer_norm_cases() {
  return {grouped({3}, 7),        grouped({2, 3}, 5),  grouped({2}, 35),
          grouped({1, 1, 4}, 16), grouped({3, 5}, 24), grouped({0}, 7)};
}

}  // namespace tessera::testing
