#include "beit3/pretrain/recipe.h"

#include <gtest/gtest.h>

#include "tensor/base/error.h"
#include "tests/testing/errors.h"

namespace tessera::beit3 {
namespace {

TEST(Recipe, SetsFieldsByName) {
  PretrainRecipe r;
  set_field(r, "train.steps", "77");
  set_field(r, "optim.lr", "0.5");
  set_field(r, "data.augment", "true");
  set_field(r, "model.init", "paper");
  set_field(r, "model.form", "paper");
  EXPECT_EQ(r.steps, 77);
  EXPECT_EQ(r.lr, 0.5);
  EXPECT_TRUE(r.data.augment);
  EXPECT_EQ(r.model.init, Init::paper);
  EXPECT_EQ(r.model.form, Form::paper);
  EXPECT_ERROR(set_field(r, "model.form", "giant"), ValueError,
               "model.form is \"giant\"; expected released or paper");
}

TEST(Recipe, SuggestsTheNearestName) {
  PretrainRecipe r;
  EXPECT_ERROR(set_field(r, "train.stpes", "7"), ValueError,
               "\"train.stpes\" is no configuration key; did you mean \"train.steps\"?");
  EXPECT_ERROR(set_field(r, "train.steps", "many"), ValueError,
               "train.steps: \"many\" is no whole number");
}

TEST(Recipe, EveryFieldReadsBackFromItsText) {
  PretrainRecipe r;
  r.lr = 0.1234567890123;
  r.data.images = "a \"quoted\" path";
  PretrainRecipe copy;
  for (const auto& [name, value] : field_values(r)) set_field(copy, name, value);
  EXPECT_EQ(field_values(copy), field_values(r));
  EXPECT_EQ(copy.lr, r.lr);
}

TEST(Recipe, NamesWhatIsOutOfRange) {
  PretrainRecipe r;
  r.image_mask = 1.5;
  EXPECT_ERROR(validate(r), ValueError, "mask.image is 1.5; expected 0 … 1");
  r = {};
  r.pair_text_weight = -1;
  EXPECT_ERROR(validate(r), ValueError, "loss.pair_text is -1; expected 0 … 1,000,000");
  r = {};
  r.images = r.texts = r.pairs = 0;
  EXPECT_THROW(validate(r), ValueError);
  EXPECT_ERROR(
      model_preset("nanno"), ValueError,
      "model preset \"nanno\" is unknown; there are nano, micro, tiny, small, base, large, giant");
}

TEST(Recipe, UpdatesInBackwardOnlyWhereNothingNeedsAllGradients) {
  PretrainRecipe r;
  r.update_in_backward = true;
  const std::string rest =
      ", but both look at all gradients together; set them to 0, or leave it out";
  EXPECT_ERROR(validate(r), ValueError,
               ("train.update_in_backward: optim.clip is 3 and optim.muon_lr is 0" + rest).c_str());
  r.clip = 0;
  validate(r);
  r.muon_lr = 0.5;
  EXPECT_ERROR(
      validate(r), ValueError,
      ("train.update_in_backward: optim.clip is 0 and optim.muon_lr is 0.5" + rest).c_str());
}

}  // namespace
}  // namespace tessera::beit3
