#include "nn/optim/param_groups.h"

#include <gtest/gtest.h>

#include "tensor/ops/creation.h"
#include "tests/testing/errors.h"

namespace {

using namespace tessera;
using namespace tessera::nn;

NamedParameter named(const std::string& name, const Shape& shape) {
  return {name, parameter(zeros(shape)), {}};
}

TEST(ParamGroups, LayerDecayHasThePublishedScales) {
  auto scale = [](const char* name, double decay, int64_t layers) {
    return lr_scale(named(name, {2, 2}), {.layer_decay = decay, .layers = layers});
  };
  EXPECT_NEAR(scale("beit3.text_embed.weight", 0.65, 12), 0.00369721, 5e-9);
  EXPECT_NEAR(scale("beit3.encoder.layers.0.ffn.A.fc1.weight", 0.65, 12), 0.00568801, 5e-9);
  EXPECT_NEAR(scale("beit3.encoder.layers.11.ffn.A.fc1.weight", 0.65, 12), 0.65, 1e-12);
  EXPECT_EQ(scale("head.weight", 0.65, 12), 1);
  EXPECT_EQ(scale("beit3.encoder.layer_norm.A.weight", 0.65, 12), 1);
  EXPECT_NEAR(scale("beit3.encoder.embed_positions.B.weight", 0.8, 24), 0.00377789, 5e-9);
  EXPECT_NEAR(scale("beit3.encoder.layers.0.x", 0.8, 24), 0.00472237, 5e-9);
  EXPECT_NEAR(scale("beit3.vision_embed.proj.weight", 0.85, 24), 0.0171978, 5e-8);
  EXPECT_NEAR(scale("beit3.encoder.layers.0.x", 0.85, 24), 0.0202327, 5e-8);
}

TEST(ParamGroups, LayerIds) {
  EXPECT_EQ(layer_id("blocks.3.attn.qkv.weight", 4), 4);
  EXPECT_EQ(layer_id("players.3.weight", 4), 5);
  EXPECT_EQ(layer_id("layers.norm.weight", 4), 5);
  EXPECT_ERROR(layer_id("encoder.layers.4.w", 4), ValueError,
               "param_groups: \"encoder.layers.4.w\" belongs to layer 4, but the rules say 4 "
               "layers");
}

TEST(ParamGroups, TheHeadsFactorCountsOnlyWithoutLayerDecay) {
  const GroupRules rules{.head_lr_scale = 20};
  EXPECT_EQ(lr_scale(named("head.0.weight", {2, 2}), rules), 20);
  EXPECT_EQ(lr_scale(named("pooler.dense.weight", {2, 2}), rules), 1);
  EXPECT_EQ(lr_scale(named("head.0.weight", {2, 2}),
                     {.layer_decay = 0.5, .layers = 2, .head_lr_scale = 20}),
            1);
}

TEST(ParamGroups, DecayIsForMatricesOutsideOfTheSkipList) {
  const GroupRules rules{.no_decay = {"cls_token"}};
  EXPECT_TRUE(is_decayed(named("mask_token", {1, 1, 4}), rules));
  EXPECT_FALSE(is_decayed(named("cls_token", {1, 1, 4}), rules));
  EXPECT_TRUE(is_decayed(named("beit3.cls_token", {1, 1, 4}), rules));  // exact names
  EXPECT_FALSE(is_decayed(named("norm.weight", {4}), rules));
  EXPECT_FALSE(is_decayed(named("logit_scale", {}), rules));
  EXPECT_FALSE(is_decayed(named("odd.bias", {2, 2}), rules));
}

TEST(ParamGroups, GroupsAreTheCombinationsThatOccur) {
  NamedParameters all = {named("embed.weight", {3, 2}), named("layers.0.w", {2, 2}),
                         named("layers.0.b", {2}),      named("layers.1.w", {2, 2}),
                         named("head.weight", {2, 2}),  named("head.bias", {2}),
                         named("frozen", {2, 2})};
  all.back().tensor.set_meta(nullptr);
  const auto groups =
      make_param_groups(all, {.weight_decay = 0.1, .layer_decay = 0.5, .layers = 2});
  ASSERT_EQ(groups.size(), 6u);
  EXPECT_EQ(groups[0].name, "decay, lr x 0.125");
  EXPECT_EQ(groups[1].lr_scale, 0.25);
  EXPECT_EQ(groups[1].weight_decay, 0.1);
  EXPECT_EQ(groups[2].lr_scale, 0.25);
  EXPECT_EQ(groups[2].weight_decay, 0);
  EXPECT_EQ(groups[4].name, "decay");
  EXPECT_EQ(groups[5].name, "no_decay");
  size_t count = 0;
  for (const ParamGroup& g : groups) count += g.parameters.size();
  EXPECT_EQ(count, 6u);

  EXPECT_EQ(make_param_groups(all, {.weight_decay = 0}).size(), 1u);
  EXPECT_ERROR(make_param_groups(all, {.layer_decay = 0.5}), ValueError,
               "param_groups: layer_decay 0.5 needs the number of layers");
  EXPECT_ERROR(make_param_groups(all, {.layer_decay = 1.5}), ValueError,
               "param_groups: layer_decay is 1.5, but must be in (0, 1]");
}

}  // namespace
