#include "beit3/model/packed.h"

#include <cstring>

#include <gtest/gtest.h>

#include "autograd/autograd.h"
#include "beit3/model/init.h"
#include "tensor/ops/ops.h"
#include "tests/beit3/model/tiny_model.h"

namespace tessera::beit3 {
namespace {

PackedInput input_of(const ModelConfig& c) {
  PackedInput in;
  in.layout = PackedLayout(2, {4, 3}, {5}, c.image_rows());
  in.images = normal({4, 3, 16, 16}, RandomKey{3});
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < 12; ++i) ids.push_back(4 + i);
  in.ids = from_data(ids, {12});
  return in;
}

TEST(PackedLayout, PutsImagesPairsAndTextsInOrder) {
  const PackedLayout layout(2, {4, 3}, {5}, 5);
  EXPECT_EQ(layout.rows(), 4 * 5 + 12);
  EXPECT_EQ(layout.vision_rows(), 20);
  EXPECT_EQ(layout.text_begin(0), 20);
  EXPECT_EQ(layout.text_begin(2), 27);
  EXPECT_EQ(layout.segments().list().size(), 5u);
  const Segment& pair = layout.segments().list()[2];
  EXPECT_EQ(pair.begin0, 10);
  EXPECT_EQ(pair.begin1, 20);
  EXPECT_EQ(pair.end1, 24);
  EXPECT_EQ(layout.text_places()[4], 0);
}

TEST(PackedLayout, CutsRowsForEveryRouting) {
  const Routes routes = PackedLayout(2, {4, 3}, {5}, 5).routes();
  EXPECT_EQ(routes[Routing::shared], (RowGroups{{32}}));
  EXPECT_EQ(routes[Routing::modality], (RowGroups{{20, 32}}));
  EXPECT_EQ(routes[Routing::sequence], (RowGroups{{10, 27, 32}}));
  const Routes kept = routes.of({1, 9, 10, 19, 20, 26, 27});
  EXPECT_EQ(kept[Routing::shared], (RowGroups{{7}}));
  EXPECT_EQ(kept[Routing::modality], (RowGroups{{4, 7}}));
  EXPECT_EQ(kept[Routing::sequence], (RowGroups{{2, 6, 7}}));
  const Routes pairs = PackedLayout(0, {4}, {}, 5).routes();
  EXPECT_EQ(pairs[Routing::sequence], (RowGroups{{0, 9, 9}, 0b101}));
  const Routes texts = PackedLayout(0, {}, {4}, 5).routes();
  EXPECT_EQ(texts[Routing::sequence], (RowGroups{{0, 0, 4}, 0b011}));
  // Rows that nobody reads are dropped; their experts were called all the same.
  EXPECT_EQ(routes.of({20, 21})[Routing::modality], (RowGroups{{0, 2}}));
  EXPECT_EQ(texts.of({})[Routing::modality], (RowGroups{{0, 0}, 0b01}));
}

TEST(PackedLayout, RefusesAnEmptyText) { EXPECT_THROW(PackedLayout(1, {0}, {}, 5), ShapeError); }

class Packed : public testing::TestWithParam<Form> {};

TEST_P(Packed, OnePassEqualsASequenceAtATime) {
  const ModelConfig c = tiny_model(GetParam());
  PretrainModel model(c);
  initialise(model, RandomKey{1});
  const NoGrad silent;
  const PackedInput all = input_of(c);
  const Tensor together = model.beit3(all, {});
  PackedInput pair;
  pair.layout = PackedLayout(0, {3}, {}, c.image_rows());
  pair.images = slice(all.images, 0, 3, 4);
  pair.ids = slice(all.ids, 0, 4, 7);
  const Tensor alone = model.beit3(pair, {});
  const std::vector<float> a = together.to_vector<float>(), b = alone.to_vector<float>();
  const int64_t n = c.image_rows();
  for (int64_t row = 0; row < n + 3; ++row) {
    const int64_t packed =
        row < n ? all.layout.image_begin(3) + row : all.layout.text_begin(1) + row - n;
    for (int64_t j = 0; j < c.width; ++j) {
      EXPECT_NEAR(a[static_cast<size_t>(packed * c.width + j)],
                  b[static_cast<size_t>(row * c.width + j)], 2e-5)
          << "row " << row;
    }
  }
}

TEST_P(Packed, KeptRowsAreThoseOfTheWholePass) {
  const ModelConfig c = tiny_model(GetParam());
  PretrainModel model(c);
  initialise(model, RandomKey{1});
  const PackedInput in = input_of(c);
  const std::vector<int64_t> keep{1, 7, 19, 20, 31};
  const Tensor whole = index_select(model.beit3(in, {}), from_data(keep, {5}), 0);
  const Tensor kept = model.beit3(in, {}, &keep);
  const auto a = whole.to_vector<float>(), b = kept.to_vector<float>();
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5) << i;
  // And so are the gradients.
  backward(sum(square(whole)));
  const Tensor first = model.beit3.text_embed.grad();
  model.zero_grad();
  backward(sum(square(kept)));
  const auto g = first.to_vector<float>(), h = model.beit3.text_embed.grad().to_vector<float>();
  for (size_t i = 0; i < g.size(); ++i) EXPECT_NEAR(g[i], h[i], 1e-4) << i;
}

TEST_P(Packed, RecomputedLayersGiveTheSameBits) {
  ModelConfig c = tiny_model(GetParam());
  c.drop_path = 0.3;
  PretrainModel model(c);
  initialise(model, RandomKey{1});
  const PackedInput in = input_of(c);
  std::vector<std::vector<float>> gradients;
  for (bool recompute : {false, true}) {
    model.zero_grad();
    const Pass pass{.training = true, .key = RandomKey{9}, .recompute = recompute, .samples = {}};
    backward(sum(square(model.beit3(in, pass))));
    gradients.push_back(
        model.beit3.encoder.layers[0].self_attn.qkv_weight[0].grad().to_vector<float>());
  }
  EXPECT_EQ(0, std::memcmp(gradients[0].data(), gradients[1].data(),
                           gradients[0].size() * sizeof(float)));
}

/// As in the reference, where a module that was not called has no gradient, and AdamW passes it by.
TEST_P(Packed, ExpertsOfAModalityThatIsAbsentGetNoGradient) {
  const ModelConfig c = tiny_model(GetParam());
  PretrainModel model(c);
  initialise(model, RandomKey{1});
  PackedInput in;
  in.layout = PackedLayout(2, {}, {}, c.image_rows());
  in.images = normal({2, 3, 16, 16}, RandomKey{3});
  // The second walk is recorded, by the exact halves of the rules.
  const Tensor loss = sum(square(model.beit3(in, {})));
  backward(loss, {.retain_graph = true});
  backward(loss, {.create_graph = true});
  const SelfAttention& attention = model.beit3.encoder.layers[0].self_attn;
  const MultiwayFeedForward& ffn = model.beit3.encoder.layers[0].ffn;
  for (size_t i = 0; i < attention.experts.size(); ++i) {
    EXPECT_EQ(attention.qkv_weight[i].grad().defined(), i == 0) << i;
    EXPECT_EQ(attention.qkv_bias[i].grad().defined(), i == 0) << i;
    EXPECT_EQ(attention.out_proj.weight[i].grad().defined(), i == 0) << i;
  }
  for (size_t i = 0; i < ffn.experts.size(); ++i) {
    EXPECT_EQ(ffn.fc1_weight[i].grad().defined(), i == 0) << i;
    EXPECT_EQ(ffn.fc2_bias[i].grad().defined(), i == 0) << i;
    if (ffn.norm_weight.empty()) continue;
    EXPECT_EQ(ffn.norm_weight[i].grad().defined(), i == 0) << i;
  }
  model.zero_grad();  // unties gradients and graph
}

INSTANTIATE_TEST_SUITE_P(Beit3, Packed, testing::Values(Form::released, Form::paper),
                         [](const auto& test) { return std::string(to_string(test.param)); });

}  // namespace
}  // namespace tessera::beit3
