// The paper's form of the model: which rows use which expert, and how it starts. Its numbers are
// compared with another implementation's in tests/beit3/trust/parity_test.cpp.
#include <cmath>
#include <map>

#include <gtest/gtest.h>

#include "autograd/autograd.h"
#include "beit3/model/init.h"
#include "tensor/ops/ops.h"
#include "tests/beit3/model/tiny_model.h"
#include "tests/testing/errors.h"

namespace tessera::beit3 {
namespace {

ModelConfig tiny() {
  ModelConfig c = tiny_model(Form::paper);
  c.ffn = 48;
  return c;
}

/// Of f64, with parameters that no symmetry relates.
Beit3 random_model(const ModelConfig& config) {
  Beit3 model(config, {.dtype = DType::f64});
  uint64_t number = 0;
  for (const auto& [name, p] : model.state()) {
    copy_into(normal(p.shape(), RandomKey{5}.fold(++number), p.options()) * 0.3, p);
  }
  return model;
}

struct Kinds {
  bool images, pairs, texts;
};

/// One of each kind that is asked for, always with the same pictures and ids.
PackedInput input_of(const ModelConfig& c, const Kinds& kinds) {
  const std::vector<int64_t> none;
  PackedInput in;
  in.layout = PackedLayout(kinds.images ? 1 : 0, kinds.pairs ? std::vector<int64_t>{4} : none,
                           kinds.texts ? std::vector<int64_t>{3} : none, c.image_rows());
  Tensors pictures;
  if (kinds.images) pictures.push_back(normal({1, 3, 16, 16}, RandomKey{1}, {DType::f64}));
  if (kinds.pairs) pictures.push_back(normal({1, 3, 16, 16}, RandomKey{2}, {DType::f64}));
  if (!pictures.empty()) in.images = concat(pictures, 0);
  std::vector<int64_t> ids;
  if (kinds.pairs) ids.insert(ids.end(), {0, 7, 9, 2});
  if (kinds.texts) ids.insert(ids.end(), {0, 8, 2});
  if (!ids.empty()) in.ids = from_data(ids, {static_cast<int64_t>(ids.size())});
  return in;
}

using Gradients = std::map<std::string, std::vector<double>>;

/// By every published name; of parameters that the pass does not use, zeros.
Gradients gradients_of(const Beit3& model, const Kinds& kinds) {
  model.zero_grad();
  backward(sum(square(model(input_of(model.config, kinds), {}))));
  Gradients all;
  for (const nn::Field& field : model.list_fields()) {
    const Tensor g = field.tensor.grad();
    const Tensor part = !g.defined()    ? zeros(field.shape(), {DType::f64})
                        : field.whole() ? g
                                        : slice(g, 0, field.begin, field.end);
    all[field.name] = part.to_vector<double>();
  }
  return all;
}

double largest(const std::vector<double>& values) {
  double most = 0;
  for (double v : values) most = std::max(most, std::fabs(v));
  return most;
}

/// Are parameters of this expert used in this layer?
bool uses(const Gradients& gradients, int64_t layer, const std::string& expert) {
  const std::string of_layer = "encoder.layers." + std::to_string(layer) + ".";
  const bool used = largest(gradients.at(of_layer + "ffn." + expert + ".fc1.weight")) > 0;
  // The norm before a feed-forward network goes with it.
  EXPECT_EQ(largest(gradients.at(of_layer + "final_layer_norm." + expert + ".weight")) > 0, used);
  return used;
}

TEST(PaperForm, RoutesRowsToExperts) {
  const Beit3 model = random_model(tiny());
  const Gradients images = gradients_of(model, {.images = true, .pairs = false, .texts = false});
  const Gradients pairs = gradients_of(model, {.images = false, .pairs = true, .texts = false});
  const Gradients texts = gradients_of(model, {.images = false, .pairs = false, .texts = true});
  for (int64_t layer : {0, 1}) {  // alone, they keep their expert in the top layer
    EXPECT_TRUE(uses(images, layer, "V") && !uses(images, layer, "L")) << layer;
    EXPECT_TRUE(uses(texts, layer, "L") && !uses(texts, layer, "V")) << layer;
  }
  EXPECT_FALSE(uses(images, 1, "VL") || uses(texts, 1, "VL"));
  EXPECT_TRUE(uses(pairs, 0, "V") && uses(pairs, 0, "L"));
  EXPECT_TRUE(uses(pairs, 1, "VL") && !uses(pairs, 1, "V") && !uses(pairs, 1, "L"));
}

TEST(PaperForm, OnePassGivesTheSumOfAPassAKind) {
  const Beit3 model = random_model(tiny());
  const Gradients together = gradients_of(model, {.images = true, .pairs = true, .texts = true});
  const Gradients images = gradients_of(model, {.images = true, .pairs = false, .texts = false});
  const Gradients pairs = gradients_of(model, {.images = false, .pairs = true, .texts = false});
  const Gradients texts = gradients_of(model, {.images = false, .pairs = false, .texts = true});
  for (const auto& [name, whole] : together) {
    // Sums over 17 rows in another order, in each of some ten ops behind one another.
    const double scale =
        std::max({largest(images.at(name)), largest(pairs.at(name)), largest(texts.at(name)), 1.0});
    const double bound = 17 * 10 * 0x1p-52 * scale;
    for (size_t i = 0; i < whole.size(); ++i) {
      ASSERT_NEAR(whole[i], images.at(name)[i] + pairs.at(name)[i] + texts.at(name)[i], bound)
          << name << " at " << i;
    }
  }
}

bool model_names_hold(const ModelConfig& config, const std::string& text) {
  for (const nn::Field& field : Beit3(config, {.shape_only = true}).list_fields()) {
    if (field.name.find(text) != std::string::npos) return true;
  }
  return false;
}

TEST(PaperForm, HasNoVlExpertWhereNoneIsWanted) {
  ModelConfig config = tiny();
  config.vl_layers = 0;
  EXPECT_FALSE(model_names_hold(config, ".VL."));
  config.vl_layers = 2;
  EXPECT_TRUE(model_names_hold(config, "layers.0.ffn.VL."));
  config.vl_layers = 3;
  EXPECT_ERROR(validate(config), ValueError, "model.vl_layers is 3; a model of 2 layers has 0 … 2");
  config.form = Form::released;  // which has none, whatever the number says
  validate(config);
  EXPECT_FALSE(model_names_hold(config, ".VL."));
}

TEST(PaperForm, StartsAsThePaperSays) {
  ModelConfig config = tiny();
  config.init = Init::paper;
  PretrainModel model(config);
  initialise(model, RandomKey{3});
  nn::StateDict state = model.state();
  auto deviation = [&](const std::string& name) {
    return std::sqrt(mean(square(state.at("beit3.encoder.layers.1." + name))).item<double>());
  };
  // A normal deviate of 0.02 cut at one deviation has 0.5396 of it. Of n draws, the measured
  // deviation is within 4 / sqrt(2 n) of that; these matrices have at least 1,024 elements.
  const double whole = 0.02 * 0.5396, slack = 4 / std::sqrt(2.0 * 1024);
  for (const char* name : {"self_attn.v_proj.weight", "ffn.VL.fc1.weight"}) {
    EXPECT_NEAR(deviation(name) / whole, 1, slack) << name;
  }
  for (const char* name : {"self_attn.out_proj.weight", "ffn.V.fc2.weight", "ffn.VL.fc2.weight"}) {
    EXPECT_NEAR(deviation(name) / whole * std::sqrt(2.0 * 2), 1, slack) << name;  // layer 2
  }
  EXPECT_EQ(largest(state.at("beit3.encoder.layers.1.ffn.VL.fc2.bias").to_vector<double>()), 0);
  EXPECT_EQ(sum(state.at("beit3.encoder.layer_norm.weight")).item<double>(), 32);
}

}  // namespace
}  // namespace tessera::beit3
