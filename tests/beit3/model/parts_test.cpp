// Parameter counts, of models that are shapes alone, against those that were published.
#include "beit3/model/parts.h"

#include <map>

#include <gtest/gtest.h>

#include "beit3/model/init.h"
#include "tests/testing/errors.h"

namespace tessera::beit3 {
namespace {

ModelConfig preset(const std::string& name, bool normalize_output = true) {
  ModelConfig config = model_preset(name);
  config.normalize_output = normalize_output;
  return config;
}

PretrainModel shapes_of(const ModelConfig& config) {
  return PretrainModel(config, {.shape_only = true});
}

std::map<std::string, int64_t> counts_of(const PretrainModel& model) {
  std::map<std::string, int64_t> counts;
  for (const PartCount& part : count_parts(model)) counts[part.part] = part.parameters;
  return counts;
}

// arXiv:2208.10442, table 2: "V-FFN 692M, L-FFN 692M, VL-FFN 52M, shared attention 317M, 1.9B".
TEST(GiantOfThePaper, HasThePublishedParameters) {
  const PretrainModel giant = shapes_of(preset("giant"));
  std::map<std::string, int64_t> counts = counts_of(giant);
  EXPECT_EQ(counts["feed-forward V"], 692362240);
  EXPECT_EQ(counts["feed-forward L"], 692362240);
  EXPECT_EQ(counts["feed-forward VL"], 51927168);
  EXPECT_EQ(counts["attention"], 317419520);
  const int64_t encoder = counts["feed-forward V"] + counts["feed-forward L"] +
                          counts["feed-forward VL"] + counts["attention"];
  EXPECT_EQ(encoder, 1754071168);
  EXPECT_EQ(counts["word embedding"], 90126080);
  EXPECT_EQ(encoder + counts["word embedding"], 1844197248);
  const int64_t heads = counts["head for words"] + counts["head for codes"];
  EXPECT_EQ(encoder + counts["word embedding"] + heads, 1945929866);  // "1.9B"
  // What no table of the paper mentions: 40 norms before attention, 83 before feed-forward networks
  // and a last one; positions of 257 and 1022 places, two rows unused in each; patches and tokens.
  EXPECT_EQ(counts["norms"], (40 + 83 + 1) * 2 * 1408);
  EXPECT_EQ(counts["positions of images"], 259 * 1408);
  EXPECT_EQ(counts["positions of texts"], 1024 * 1408);
  EXPECT_EQ(counts["patch embedding"], (3 * 14 * 14 + 1 + 2) * 1408);
  EXPECT_EQ(counts.count("other"), 0u);
  int64_t all = 0;
  for (const auto& [part, count] : counts) all += count;
  EXPECT_EQ(all, giant.parameter_count());
}

TEST(ReleasedModels, HaveThePublishedParameters) {
  const PretrainModel base = shapes_of(preset("base")), large = shapes_of(preset("large"));
  EXPECT_EQ(base.beit3.parameter_count(), 220987392);
  EXPECT_EQ(large.beit3.parameter_count(), 672702464);
  EXPECT_EQ(base.parameter_count(), 276510730);   // microsoft/unilm beit3, README: 276M
  EXPECT_EQ(large.parameter_count(), 746709514);  // 746M
  EXPECT_EQ(shapes_of(preset("base", false)).beit3.parameter_count(), 220984320);
  std::map<std::string, int64_t> counts = counts_of(base);
  EXPECT_EQ(counts["attention A"], 12 * 2362368);
  EXPECT_EQ(counts["attention B"], 12 * 2362368);
  EXPECT_EQ(counts["feed-forward A"], 12 * (2362368 + 2360064));
  EXPECT_EQ(counts["norms"], 12 * 2 * (4608 + 6144) + 3072);
  EXPECT_EQ(counts.count("feed-forward VL"), 0u);
}

// A giant in the released form would have twice the attention, and Sub-LN.
TEST(ReleasedModels, WouldBeLargerAsGiant) {
  ModelConfig config = preset("giant");
  config.form = Form::released;
  EXPECT_EQ(shapes_of(config).beit3.parameter_count(), 2113992704);
}

TEST(ShapeOnly, HoldsNoElementsAndRefusesThem) {
  ModelConfig config = preset("nano");
  config.text_rows = 100;
  PretrainModel shapes = shapes_of(config);
  for (const nn::NamedParameter& p : shapes.named_parameters()) {
    EXPECT_EQ(p.tensor.storage()->bytes(), sizeof(float)) << p.name;
  }
  EXPECT_THROW(initialise(shapes, RandomKey{1}), StateError);
  PretrainModel whole(config);
  EXPECT_EQ(whole.parameter_count(), shapes.parameter_count());
  const std::vector<nn::Field> a = whole.list_fields(), b = shapes.list_fields();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_EQ(a[i].shape(), b[i].shape()) << a[i].name;
  }
}

}  // namespace
}  // namespace tessera::beit3
