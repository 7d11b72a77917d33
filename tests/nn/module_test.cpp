#include "nn/module.h"

#include <gtest/gtest.h>

#include "autograd/autograd.h"
#include "nn/attention.h"
#include "nn/feed_forward.h"
#include "nn/linear.h"
#include "tensor/ops/ops.h"
#include "tests/testing/errors.h"

namespace {

using namespace tessera;
using namespace tessera::nn;

std::vector<std::string> names(const Module& module) {
  std::vector<std::string> result;
  for (const Field& f : module.list_fields()) result.push_back(f.name);
  return result;
}

struct Block : Module {
  SelfAttention self_attn;
  FeedForward ffn;
  explicit Block(uint64_t seed)
      : self_attn(4, 2, RandomKey{seed}, {.names = QkvNames::split}),
        ffn(4, 8, RandomKey{seed + 1}, {.sub_layer_norm = true}) {}
  void fields(FieldVisitor& v) override {
    v("self_attn", self_attn);
    v.prefix("ffn", [&] { v("A", ffn); });
  }
};

struct Tower : Module {
  std::vector<Block> layers;
  std::optional<Linear> head;
  std::unique_ptr<Linear> pooler;
  Tensor steps = zeros({2});
  explicit Tower(int count) {
    for (int i = 0; i < count; ++i) layers.emplace_back(static_cast<uint64_t>(10 * i));
  }
  void fields(FieldVisitor& v) override {
    v("layers", layers);
    v("head", head);
    v("pooler", pooler);
    v.buffer("steps", steps);
  }
};

TEST(Module, NamesNestAndKeepTheirOrder) {
  const std::vector<std::string> expected = {
      "self_attn.k_proj.weight",    "self_attn.k_proj.bias",
      "self_attn.v_proj.weight",    "self_attn.v_proj.bias",
      "self_attn.q_proj.weight",    "self_attn.q_proj.bias",
      "self_attn.out_proj.weight",  "self_attn.out_proj.bias",
      "ffn.A.fc1.weight",           "ffn.A.fc1.bias",
      "ffn.A.fc2.weight",           "ffn.A.fc2.bias",
      "ffn.A.ffn_layernorm.weight", "ffn.A.ffn_layernorm.bias"};
  EXPECT_EQ(names(Block(1)), expected);
  const std::vector<std::string> all = names(Tower(2));
  ASSERT_EQ(all.size(), 29u);
  EXPECT_EQ(all[14], "layers.1.self_attn.k_proj.weight");
  EXPECT_EQ(all[28], "steps");
}

TEST(Module, AbsentPartsAndTensorsAreNoFields) {
  Tower tower(0);
  EXPECT_EQ(names(tower), std::vector<std::string>{"steps"});
  tower.head.emplace(3, 2, RandomKey{1}, LinearOptions{.bias = false});
  tower.pooler = std::make_unique<Linear>(3, 3, RandomKey{2});
  EXPECT_EQ(names(tower),
            (std::vector<std::string>{"head.weight", "pooler.weight", "pooler.bias", "steps"}));
  EXPECT_EQ(tower.parameter_count(), 6 + 9 + 3);
}

TEST(Module, ASlicedParameterIsOneForOptimizersAndThreeForFiles) {
  const Block block(1);
  const NamedParameters parameters = block.named_parameters();
  ASSERT_EQ(parameters.size(), 10u);
  EXPECT_EQ(parameters[0].name, "self_attn.k_proj.weight");
  EXPECT_TRUE(parameters[0].tensor.is(block.self_attn.qkv_weight));
  ASSERT_EQ(parameters[0].slices.size(), 3u);
  EXPECT_EQ(parameters[0].slices[1].name, "self_attn.v_proj.weight");
  EXPECT_EQ(parameters[0].slices[2].name, "self_attn.q_proj.weight");
  EXPECT_EQ(parameters[0].slices[2].begin, 0);
  EXPECT_EQ(parameters[0].slices[2].end, 4);
  EXPECT_EQ(block.parameter_count(), 12 * 4 + 12 + 16 + 4 + 32 + 8 + 32 + 4 + 16);

  const StateDict state = block.state();
  EXPECT_EQ(state.at("self_attn.q_proj.weight").shape(), Shape({4, 4}));
  // Views: what is written through them is in the parameter.
  fill_(state.at("self_attn.v_proj.bias"), 7);
  const std::vector<double> bias = block.self_attn.qkv_bias.to_vector<double>();
  for (size_t i = 8; i < 12; ++i) EXPECT_EQ(bias[i], 7);
  EXPECT_NE(bias[7], 7);
  for (const auto& [name, tensor] : state) EXPECT_FALSE(tensor.tracked()) << name;
}

struct Tied : Module {
  Tensor table = parameter(ones({5, 2}));
  Tensor head = table;
  void fields(FieldVisitor& v) override {
    v("embed.weight", table);
    v("head.weight", head);
  }
};

TEST(Module, ASharedParameterCountsOnceAndIsSavedUnderBothNames) {
  const Tied tied;
  ASSERT_EQ(tied.named_parameters().size(), 1u);
  EXPECT_EQ(tied.named_parameters()[0].name, "embed.weight");
  EXPECT_EQ(tied.parameter_count(), 10);
  EXPECT_EQ(tied.state().size(), 2u);
}

TEST(Module, MovingItKeepsItsParameters) {
  Block block(1);
  const Tensor before = block.ffn.fc1.weight;
  std::vector<Block> blocks;
  blocks.push_back(std::move(block));
  blocks.emplace_back(2);  // moves the first again
  blocks.emplace_back(3);
  EXPECT_TRUE(blocks[0].ffn.fc1.weight.is(before));
  EXPECT_EQ(names(blocks[0]).size(), 14u);
  static_assert(!std::is_copy_constructible_v<Block>);
  static_assert(std::is_nothrow_move_constructible_v<Linear>);
}

TEST(Module, FreezingAndThawing) {
  Linear layer(3, 2, RandomKey{1});
  const Tensor x = ones({4, 3});
  EXPECT_TRUE(layer(x).tracked());
  layer.set_requires_grad(false);
  EXPECT_FALSE(layer(x).tracked());
  layer.set_requires_grad(true);
  backward(sum(layer(x)));
  EXPECT_EQ(layer.bias.grad().to_vector<double>(), (std::vector<double>{4, 4}));
  layer.zero_grad();
  EXPECT_FALSE(layer.bias.grad().defined());
}

TEST(Module, ToItsOwnDeviceChangesNothing) {
  Linear layer(3, 2, RandomKey{1});
  const auto storage = layer.weight.storage();
  layer.to(kCpu);
  EXPECT_EQ(layer.weight.storage(), storage);
}

TEST(Module, PrintsATree) {
  Tower tower(1);
  tower.head.emplace(3, 2, RandomKey{1}, LinearOptions{.bias = false});
  EXPECT_EQ(to_string(tower),
            "Module, 178 parameters\n"
            "  layers.0: Module, 172 parameters\n"
            "    self_attn: SelfAttention(4, 2 heads), 80 parameters\n"
            "      k_proj.weight (4, 4)\n"
            "      k_proj.bias (4)\n"
            "      v_proj.weight (4, 4)\n"
            "      v_proj.bias (4)\n"
            "      q_proj.weight (4, 4)\n"
            "      q_proj.bias (4)\n"
            "      out_proj: Linear(4 -> 4), 20 parameters\n"
            "        weight (4, 4)\n"
            "        bias (4)\n"
            "    ffn.A: FeedForward, 92 parameters\n"
            "      fc1: Linear(4 -> 8), 40 parameters\n"
            "        weight (8, 4)\n"
            "        bias (8)\n"
            "      fc2: Linear(8 -> 4), 36 parameters\n"
            "        weight (4, 8)\n"
            "        bias (4)\n"
            "      ffn_layernorm: LayerNorm(8, eps 1e-05), 16 parameters\n"
            "        weight (8)\n"
            "        bias (8)\n"
            "  head: Linear(3 -> 2, no bias), 6 parameters\n"
            "    weight (2, 3)\n"
            "  steps (2) buffer\n");
}

struct Cut : Module {
  Tensor weight = parameter(ones({6, 2}));
  std::vector<std::pair<int64_t, int64_t>> ranges;
  void fields(FieldVisitor& v) override {
    for (size_t i = 0; i < ranges.size(); ++i) {
      v.rows("part" + std::to_string(i), weight, ranges[i].first, ranges[i].second);
    }
  }
};

TEST(Module, RefusesRowsThatAreNoPartition) {
  Cut cut;
  cut.ranges = {{3, 6}, {0, 3}};
  EXPECT_EQ(cut.named_parameters().size(), 1u);
  cut.ranges = {{0, 3}, {2, 6}};
  EXPECT_ERROR(cut.named_parameters(), StateError,
               "module: rows of parameter \"part1\" (6, 2) are published as [2, 6), but the names "
               "before end at 3; publish each row once");
  cut.ranges = {{0, 3}};
  EXPECT_ERROR(cut.named_parameters(), StateError,
               "module: parameter \"part0\" (6, 2) is published up to row 3 only; publish each row "
               "once");
  cut.ranges = {{0, 7}};
  EXPECT_ERROR(cut.list_fields(), IndexError,
               "module: rows [0, 7) of \"part0\" lie outside of its parameter (6, 2)");
}

struct Twice : Module {
  Tensor a = parameter(ones({1})), b = parameter(ones({1}));
  void fields(FieldVisitor& v) override {
    v("same", a);
    v("same", b);
  }
};

TEST(Module, RefusesANameUsedTwice) {
  EXPECT_ERROR(Twice().state(), StateError,
               "module: two fields are called \"same\"; give each member its own name");
}

}  // namespace
