#include "beit3/vqkd/train.h"

#include "tensor/base/parallel.h"
#include "tests/beit3/vqkd/vqkd_testing.h"
#include "tests/testing/errors.h"

namespace tessera::beit3 {
namespace {

using testing::blobs;
using testing::TemporaryFile;

VqkdRecipe small_recipe() {
  VqkdRecipe recipe;
  recipe.model = {.image_size = 32,
                  .patch = 8,
                  .width = 32,
                  .heads = 2,
                  .encoder_layers = 1,
                  .decoder_layers = 1,
                  .codes = 32,
                  .code_width = 8};
  recipe.steps = 80;
  recipe.batch = 16;
  recipe.warmup = 10;
  recipe.plain_steps = 15;
  recipe.revive_after = 10;
  return recipe;
}

Tensor pictures(int64_t step) {
  return blobs(16, 32, RandomKey{7}.fold(static_cast<uint64_t>(step)));
}

std::vector<float> everything(const Vqkd& vq) {
  std::vector<float> all;
  for (const auto& [name, tensor] : vq.state()) {
    const std::vector<float> values = tensor.to_vector<float>();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

TEST(VqkdTrainerTest, LearnsAndUsesItsCodes) {
  VqkdRecipe recipe = small_recipe();
  recipe.steps = 150;
  VqkdTrainer trainer(recipe, pictures);
  const VqkdStep first = trainer.run_step();
  EXPECT_EQ(first.step, 1);
  EXPECT_EQ(first.usage.codes, 0);
  VqkdStep last = first;
  while (!trainer.done()) last = trainer.run_step();
  EXPECT_LT(last.target_loss, 0.5 * first.target_loss);
  EXPECT_LT(last.pixel_loss, 0.5 * first.pixel_loss);
  EXPECT_LT(last.commitment, 0.1);
  EXPECT_GE(last.usage.share(), 0.95);
  EXPECT_GT(last.usage.perplexity, 6);
  EXPECT_FALSE(trainer.collapsed());
  EXPECT_GT(last.grad_norm, 0);

  // Pictures never seen, rebuilt from 16 numbers below 32, against their own mean colour.
  const Tensor held_out = blobs(64, 32, RandomKey{8});
  const Tensor rebuilt = trainer.model().decode_pixels(trainer.model().encode(held_out));
  const double error = mean(square(rebuilt - held_out)).item<double>();
  const double plain =
      mean(square(held_out - mean(held_out, {2, 3}, KeepDims::yes))).item<double>();
  EXPECT_LT(error, 0.8 * plain);
}

TEST(VqkdTrainerTest, GoesOnBitForBit) {
  const TemporaryFile file("trainer.vq");
  VqkdRecipe recipe = small_recipe();
  recipe.steps = 40;
  VqkdTrainer whole(recipe, pictures);
  for (int i = 0; i < 32; ++i) whole.run_step();
  whole.save(file.path());
  EXPECT_EQ(content_hash(load_vqkd(file.path())), content_hash(whole.model()));

  VqkdTrainer resumed(recipe, pictures);
  resumed.load(file.path());
  EXPECT_EQ(resumed.step(), 32);
  while (!whole.done()) {
    const VqkdStep a = whole.run_step(), b = resumed.run_step();
    EXPECT_EQ(a.loss, b.loss);
    EXPECT_EQ(a.revived, b.revived);
    EXPECT_EQ(a.usage.perplexity, b.usage.perplexity);
  }
  EXPECT_EQ(everything(whole.model()), everything(resumed.model()));

  // Before there are codes, too.
  VqkdTrainer early(recipe, pictures), later(recipe, pictures);
  for (int i = 0; i < 5; ++i) early.run_step();
  early.save(file.path());
  later.load(file.path());
  EXPECT_FALSE(later.collapsed());
  EXPECT_EQ(early.run_step().loss, later.run_step().loss);
}

TEST(VqkdTrainerTest, RefusesAnotherRecipe) {
  const TemporaryFile file("recipe.vq");
  VqkdTrainer trainer(small_recipe(), pictures);
  trainer.run_step();
  trainer.save(file.path());
  VqkdRecipe other = small_recipe();
  other.seed = 5;
  VqkdTrainer wrong(other, pictures);
  EXPECT_ERROR(
      wrong.load(file.path()), StateError,
      (file.path() + " was trained by another recipe: \"seed\" is 5, the file has 0").c_str());
  save_vqkd(trainer.model(), file.path());
  EXPECT_ERROR(trainer.load(file.path()), IoError,
               (file.path() + ": there is no training state to go on from").c_str());
}

TEST(VqkdTrainerTest, ThreadsChangeNothing) {
  const int before = thread_count();
  std::vector<std::vector<float>> results;
  for (int threads : {1, 2, 3}) {
    set_thread_count(threads);
    VqkdTrainer trainer(small_recipe(), pictures);
    for (int i = 0; i < 20; ++i) trainer.run_step();
    results.push_back(everything(trainer.model()));
  }
  set_thread_count(before);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST(VqkdTrainerTest, SaysWhenTheCodebookCollapsed) {
  VqkdRecipe recipe = small_recipe();
  recipe.steps = 40;
  recipe.model.codes = 128;
  // One grey: there is nothing to tell apart but the 16 places.
  VqkdTrainer trainer(recipe, [](int64_t) { return full({16, 3, 32, 32}, 0.5); });
  while (!trainer.done()) trainer.run_step();
  EXPECT_TRUE(trainer.collapsed());
}

TEST(VqkdTrainerTest, LearnsFromATeacher) {
  VqkdRecipe recipe = small_recipe();
  recipe.steps = 60;
  recipe.model.target = VqkdTarget::features;
  recipe.model.target_width = 6;
  // The teacher: a fixed random map of each patch.
  const Tensor map = tessera::testing::random({6, 192}, 3, DType::f32);
  VqkdTrainer trainer(recipe, {.images = pictures, .features = [&](int64_t step) {
                                 return linear(nn::patches(pictures(step) - 0.5, 8), map);
                               }});
  const double first = trainer.run_step().target_loss;
  VqkdStep last;
  while (!trainer.done()) last = trainer.run_step();
  EXPECT_LT(last.target_loss, 0.5 * first);
  EXPECT_THROW(VqkdTrainer(recipe, pictures), ValueError);
}

TEST(VqkdTrainerTest, RefusesRecipesOutOfRange) {
  VqkdRecipe recipe;
  recipe.steps = 60;
  EXPECT_ERROR(VqkdTrainer(recipe, pictures), ValueError,
               "image tokenizer: 60 steps, of which 60 without codes; make the first larger");
}

}  // namespace
}  // namespace tessera::beit3
