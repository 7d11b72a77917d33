#include "tensor/ops/gelu_layer_norm.h"

#include "tests/ops/all_cases.h"
#include "tests/testing/op_test.h"
#include "tests/testing/tensors.h"

namespace tessera::testing {
namespace {

OpCase grouped(const char* name, std::vector<int64_t> ends, int64_t width) {
  const RowGroups groups{std::move(ends)};
  const size_t n = groups.size();
  OpCase c{.name = name, .inputs = {random({groups.rows(), width}, 91)}};
  for (size_t i = 0; i < 2 * n; ++i) c.inputs.push_back(random({width}, 92 + i));
  c.run = [=](const Tensors& in) {
    const auto all = std::span(in).subspan(1);
    return gelu_layer_norm(in[0], groups, all.first(n), all.last(n), 1e-5);
  };
  c.expected = [=](const Tensors& in) {
    const auto all = std::span(in).subspan(1);
    return composed::gelu_layer_norm(in[0], groups, all.first(n), all.last(n), 1e-5);
  };
  c.composed = true;
  c.length = 8 * width;
  return c;
}

}  // namespace

std::vector<OpCase> gelu_layer_norm_cases() {
  OpCase one = grouped("one_group", {3}, 7);
  one.empty = {zeros({0, 7}, {DType::f64}), ones({7}, {DType::f64}), zeros({7}, {DType::f64})};
  one.run = [](const Tensors& in) {
    const RowGroups all{{in[0].size(0)}};
    return gelu_layer_norm(in[0], all, std::span(&in[1], 1), std::span(&in[2], 1), 1e-5);
  };
  one.expected = [](const Tensors& in) {
    const RowGroups all{{in[0].size(0)}};
    return composed::gelu_layer_norm(in[0], all, std::span(&in[1], 1), std::span(&in[2], 1), 1e-5);
  };
  return {std::move(one), grouped("two_groups", {2, 3}, 5), grouped("odd_width", {2}, 35)};
}

INSTANTIATE_TEST_SUITE_P(GeluLayerNorm, OpTest, ::testing::ValuesIn(gelu_layer_norm_cases()),
                         case_name);

}  // namespace tessera::testing
