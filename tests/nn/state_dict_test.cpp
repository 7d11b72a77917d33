#include "nn/state_dict.h"

#include <gtest/gtest.h>

#include "nn/linear.h"
#include "tensor/ops/ops.h"
#include "tests/testing/errors.h"

namespace {

using namespace tessera;
using namespace tessera::nn;

struct Pair : Module {
  Linear first{2, 3, RandomKey{1}}, second{3, 1, RandomKey{2}};
  void fields(FieldVisitor& v) override {
    v("first", first);
    v("second", second);
  }
};

std::vector<double> all_values(const Module& module) {
  std::vector<double> values;
  for (const auto& [name, tensor] : module.state()) {
    for (const double v : tensor.to_vector<double>()) values.push_back(v);
  }
  return values;
}

TEST(LoadState, CopiesByNameAndKeepsTheHandles) {
  Pair from, to;
  for (const Tensor& p : from.parameters()) fill_(p, 0.25);
  const Tensor handle = to.first.weight;
  const LoadReport report = load_state(to, from.state());
  EXPECT_TRUE(report.complete());
  EXPECT_EQ(to_string(report), "load_state: all 4 names loaded");
  EXPECT_EQ(report.loaded.size(), 4u);
  EXPECT_EQ(all_values(to), all_values(from));
  EXPECT_TRUE(to.first.weight.is(handle));
  EXPECT_TRUE(handle.tracked());
  fill_(from.first.weight, 9);  // a copy, not a share
  EXPECT_EQ(handle.to_vector<double>()[0], 0.25);
}

TEST(LoadState, ReportsEverythingAndChangesNothingIfStrict) {
  Pair module;
  const std::vector<double> before = all_values(module);
  StateDict state = clone(module.state());
  for (const auto& [name, tensor] : state) fill_(tensor, 5);
  state.erase("first.bias");
  state.insert_or_assign("first.weight", zeros({2, 3}));
  state.insert_or_assign("second.bias", zeros({1}, {.dtype = DType::i64}));
  state.insert_or_assign("second.weight", zeros({1, 3}, {.dtype = DType::f64}));
  state.emplace("mask_token", zeros({1}));
  const char* text =
      "load_state: 1 of 4 names missing: \"first.bias\"; 1 unexpected: \"mask_token\"; "
      "1 of another shape: \"first.weight\" is (2, 3), expected (3, 2); "
      "1 of another dtype: \"second.bias\" is i64, expected f32; "
      "1 converted: \"second.weight\" is f64, expected f32";
  EXPECT_ERROR(load_state(module, state), StateError, text);
  EXPECT_EQ(all_values(module), before);

  const LoadReport report = load_state(module, state, {.strict = false});
  EXPECT_EQ(to_string(report), text);
  EXPECT_EQ(report.loaded, std::vector<std::string>{"second.weight"});
  EXPECT_EQ(module.second.weight.to_vector<double>(), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(report.wrong_shape[0].got, Shape({2, 3}));
}

TEST(LoadState, RoundsToTheModulesDtypeUnlessToldNotTo) {
  Linear layer(1, 1, RandomKey{1});
  const StateDict state = {{"weight", full({1, 1}, 1.0 / 3, {.dtype = DType::bf16})},
                           {"bias", full({1}, 0.1, {.dtype = DType::f64})}};
  const LoadReport report = load_state(layer, state);
  EXPECT_EQ(report.converted.size(), 2u);
  EXPECT_EQ(layer.weight.dtype(), DType::f32);
  EXPECT_EQ(layer.weight.item<double>(), 0.333984375);
  EXPECT_EQ(layer.bias.item<float>(), 0.1f);
  EXPECT_THROW(load_state(layer, state, {.convert_dtype = false}), StateError);
}

TEST(LoadState, ShortensLongLists) {
  LoadReport report;
  report.expected_names = 9;
  for (int i = 0; i < 5; ++i) report.missing.push_back("n" + std::to_string(i));
  EXPECT_EQ(to_string(report, 2), "load_state: 5 of 9 names missing: \"n0\", \"n1\", and 3 more");
}

TEST(StateDict, Prefixes) {
  const Pair module;
  const StateDict all = with_prefix(module.state(), "beit3.");
  EXPECT_TRUE(all.contains("beit3.first.bias"));
  const StateDict part = without_prefix(all, "beit3.second.");
  ASSERT_EQ(part.size(), 2u);
  EXPECT_TRUE(part.contains("weight"));
}

}  // namespace
