#include "beit3/pretrain/trainer.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "beit3/model/parameter_hash.h"
#include "beit3/pretrain/evaluate.h"
#include "nn/io/safetensors.h"
#include "tensor/base/parallel.h"
#include "tensor/ops/cast.h"
#include "tensor/ops/creation.h"
#include "tests/beit3/pretrain/trainer_testing.h"

namespace tessera::beit3 {
namespace {

namespace fs = std::filesystem;

TEST_F(Trainer, LearnsTheTexts) {
  for (const char* dtype : {"f32", "bf16"}) {
    PretrainRecipe r = recipe();
    r.dtype = dtype;
    r.overfit = 4;
    r.steps = 150;
    PretrainTrainer trainer(r);
    const double first = trainer.run_step().loss;
    // Each step hides other places of the same four samples: one step alone says little.
    double last = 0;
    while (trainer.step() < r.steps) {
      const double loss = trainer.run_step().loss;
      if (trainer.step() > r.steps - 20) last += loss / 20;
    }
    EXPECT_LT(last, 0.7 * first) << dtype;
  }
}

struct Kind {
  const char* name;
  Form form;
  double muon_lr = 0;
  const char* dtype = "f32";
};

class TrainerOfKind : public Trainer, public testing::WithParamInterface<Kind> {
 protected:
  static PretrainRecipe recipe() {
    PretrainRecipe r = Trainer::recipe(GetParam().form);
    r.muon_lr = GetParam().muon_lr;
    r.dtype = GetParam().dtype;
    return r;
  }
};
INSTANTIATE_TEST_SUITE_P(All, TrainerOfKind,
                         testing::Values(Kind{"released", Form::released},
                                         Kind{"paper", Form::paper},
                                         Kind{"muon", Form::released, 2e-3},
                                         Kind{"bf16", Form::released, 0, "bf16"}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(TrainerOfKind, GivesTheSameBitsForOneToEightThreads) {
  const int before = thread_count();
  std::string expected;
  for (int threads : {1, 2, 3, 4, 8}) {
    set_thread_count(threads);
    PretrainTrainer trainer(recipe());
    const std::string hash = hash_after(trainer, 12);
    if (threads == 1) expected = hash;
    EXPECT_EQ(hash, expected) << threads << " threads";
  }
  set_thread_count(before);
}

TEST_P(TrainerOfKind, ResumesBitForBit) {
  PretrainTrainer unbroken(recipe());
  const std::string expected = hash_after(unbroken, 12);
  const fs::path file = folder / "middle.safetensors";
  std::string saved;
  {
    PretrainTrainer first(recipe());
    saved = hash_after(first, 5);
    first.save(file);
  }
  PretrainTrainer second(recipe());
  second.load(file);
  EXPECT_EQ(second.step(), 5);
  EXPECT_EQ(second.parameter_hash(), saved);
  EXPECT_EQ(hash_after(second, 12), expected);
  const LoadedModel loaded = load_pretrained(file);
  EXPECT_EQ(loaded.step, 5);
  EXPECT_EQ(loaded.recipe.model.width, 32);
  EXPECT_EQ(loaded.recipe.model.form, GetParam().form);
  EXPECT_EQ(parameter_hash(loaded.model.state()), saved);
  EXPECT_EQ(nn::load_safetensors(file.string()).metadata.at("parameter_hash"), saved);
}

TEST_F(Trainer, UpdatesInBackwardWithTheSameBits) {
  for (int64_t accumulate : {1, 2}) {
    PretrainRecipe r = recipe();
    r.clip = 0;
    r.accumulate = accumulate;
    r.average_decay = 0.9;
    PretrainTrainer apart(r);
    r.update_in_backward = true;
    PretrainTrainer together(r);
    for (int i = 0; i < 4; ++i) {
      const StepReport a = apart.run_step(), b = together.run_step();
      EXPECT_EQ(a.loss, b.loss);
      EXPECT_NEAR(a.grad_norm, b.grad_norm, 1e-6 * a.grad_norm);
      EXPECT_TRUE(b.finite);
    }
    EXPECT_EQ(apart.parameter_hash(), together.parameter_hash());
    // Gradients can be kept again, and dropped again, between a save and its resume.
    const fs::path file = folder / "in_backward.safetensors";
    together.save(file);
    apart.load(file);
    EXPECT_EQ(hash_after(apart, 6), hash_after(together, 6));
  }
}

TEST_F(Trainer, UpdatesNothingInBackwardOfALossThatIsNotFinite) {
  PretrainRecipe r = recipe();
  r.clip = 0;
  r.update_in_backward = true;
  PretrainTrainer trainer(r);
  trainer.run_step();
  for (const nn::NamedParameter& p : trainer.evaluated_model().named_parameters()) {
    if (p.name.ends_with("bias")) fill_(p.tensor, INFINITY);
  }
  const std::string before = trainer.parameter_hash();
  EXPECT_FALSE(trainer.run_step().finite);
  EXPECT_EQ(trainer.parameter_hash(), before);
  EXPECT_EQ(trainer.step(), 2);
}

TEST_F(Trainer, GoesOnWithACheckpointFromBeforeAFieldExisted) {
  const fs::path file = folder / "before_the_field.safetensors";
  PretrainTrainer first(recipe());
  hash_after(first, 2);
  first.save(file);
  nn::SafetensorsFile older = nn::load_safetensors(file.string());
  ASSERT_EQ(older.metadata.erase("recipe.model.form"), 1u);
  nn::save_safetensors(file.string(), older.tensors, older.metadata);
  PretrainTrainer again(recipe());
  again.load(file);
  EXPECT_EQ(again.parameter_hash(), first.parameter_hash());
  PretrainTrainer other(recipe(Form::paper));
  EXPECT_THROW(other.load(file), StateError);
}

TEST_F(Trainer, GoesOnAfterItsDataMoved) {
  const fs::path file = folder / "before_the_move.safetensors", moved = folder / "moved";
  PretrainTrainer first(recipe());
  hash_after(first, 3);
  first.save(file);
  const std::string expected = hash_after(first, 5);
  fs::copy(folder / "world", moved, fs::copy_options::recursive);
  PretrainRecipe elsewhere = recipe();
  elsewhere.data.images = elsewhere.data.pairs = moved.string();
  elsewhere.data.texts = (moved / "texts.txt").string();
  PretrainTrainer second(elsewhere);
  second.load(file);
  EXPECT_EQ(hash_after(second, 5), expected);
}

TEST_F(Trainer, ShowsAndLoadsTheAveragedWeightsWhereItKeepsThem) {
  const fs::path file = folder / "averaged.safetensors";
  PretrainRecipe r = recipe();
  r.average_decay = 0.9;
  r.muon_lr = 2e-3;
  PretrainTrainer trainer(r);
  hash_after(trainer, 4);
  trainer.save(file);
  const nn::StateDict now = trainer.model().state(), shown = trainer.evaluated_model().state();
  const nn::StateDict loaded = load_pretrained(file).model.state();
  ASSERT_EQ(shown.size(), loaded.size());
  int64_t different = 0;
  for (const auto& [name, tensor] : shown) {
    EXPECT_EQ(tensor.to_vector<float>(), loaded.at(name).to_vector<float>()) << name;
    different += tensor.to_vector<float>() != now.at(name).to_vector<float>();
  }
  EXPECT_GT(different, static_cast<int64_t>(shown.size()) / 2);
}

TEST_F(Trainer, TrainsOnTheTrainSplitOfASourceThatHasSeveral) {
  const fs::path file = folder / "splits.jsonl";
  std::ofstream(file) << R"({"text": "a red circle", "split": "train"})"
                         "\n"
                      << R"({"text": "a blue square", "split": "test"})"
                         "\n"
                      << R"({"text": "two red circles", "split": "train"})"
                         "\n";
  PretrainRecipe r = recipe();
  r.data.texts = file.string();
  r.data.images.clear();
  r.data.pairs.clear();
  r.images = r.pairs = 0;
  EXPECT_EQ(PretrainTrainer(r).data().texts().usable.size(), 2U);
  r.data.split = "test";
  EXPECT_EQ(PretrainTrainer(r).data().texts().usable.size(), 1U);
  r.data.split = "dev";
  EXPECT_THROW(PretrainTrainer{r}, IoError);
}

TEST_F(Trainer, EvaluatesAroundABrokenPicture) {
  const fs::path broken = folder / "with_a_broken_picture";
  fs::copy(folder / "world", broken, fs::copy_options::recursive);
  std::ofstream(broken / "images" / "000042.png", std::ios::trunc) << "no picture";
  PretrainRecipe r = recipe();
  r.data.held_out = broken.string();
  PretrainTrainer trainer(r);
  const Evaluation e = evaluate(trainer.model(), trainer.tokenizer(), trainer.image_tokenizer(),
                                trainer.recipe(), {});
  EXPECT_EQ(e.broken_pictures, 1);
  EXPECT_NE(e.first_broken.find("000042.png"), std::string::npos) << e.first_broken;
  EXPECT_EQ(e.patches.count, 7 * 26);
}

TEST_F(Trainer, RefusesACheckpointOfAnotherRun) {
  const fs::path file = folder / "other.safetensors";
  PretrainTrainer trainer(recipe());
  trainer.save(file);
  PretrainRecipe other = recipe();
  other.model.layers = 3;
  other.lr = 1e-4;
  PretrainTrainer wrong(other);
  const std::string before = wrong.parameter_hash();
  try {
    wrong.load(file);
    FAIL() << "it was loaded";
  } catch (const StateError& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("recipe.model.layers: the checkpoint has 2, this run 3"), std::string::npos)
        << text;
    EXPECT_NE(text.find("recipe.optim.lr"), std::string::npos) << text;
  }
  EXPECT_EQ(wrong.parameter_hash(), before);
}

TEST_F(Trainer, StaysAsItIsIfACheckpointIsDamaged) {
  const fs::path file = folder / "damaged.safetensors";
  PretrainRecipe r = recipe();
  r.muon_lr = 2e-3;
  PretrainTrainer trainer(r);
  hash_after(trainer, 2);
  trainer.save(file);
  nn::SafetensorsFile parts = nn::load_safetensors(file.string());
  const std::string expected = hash_after(trainer, 4);
  PretrainTrainer again(r);
  const std::string before = again.parameter_hash();
  auto refuse = [&](const nn::SafetensorsFile& damaged) {
    nn::save_safetensors(file.string(), damaged.tensors, damaged.metadata);
    EXPECT_THROW(again.load(file), Error);
    EXPECT_EQ(again.parameter_hash(), before);
    EXPECT_EQ(again.step(), 0);
  };
  nn::SafetensorsFile bad_step = parts, no_moment = parts, no_momentum = parts, few_weights = parts,
                      no_weights = parts;
  bad_step.metadata["step"] = "two";
  refuse(bad_step);
  no_moment.tensors.erase("optimizer.m.mlm_head.weight");
  ASSERT_EQ(no_moment.tensors.size() + 1, parts.tensors.size());
  refuse(no_moment);
  no_momentum.tensors.erase("optimizer.momentum.beit3.encoder.layers.1.ffn.A.fc1.weight");
  ASSERT_EQ(no_momentum.tensors.size() + 1, parts.tensors.size());
  refuse(no_momentum);
  few_weights.tensors.at("pretrain.code_weight") = zeros({3});
  refuse(few_weights);
  no_weights.tensors.erase("pretrain.word_weight");
  ASSERT_EQ(no_weights.tensors.size() + 1, parts.tensors.size());
  refuse(no_weights);
  nn::save_safetensors(file.string(), parts.tensors, parts.metadata);
  again.load(file);
  EXPECT_EQ(hash_after(again, 4), expected);
}

TEST_F(Trainer, LearnsFromPairsWhosePicturesAreWhole) {
  PretrainRecipe r = recipe();
  r.pair_image_mask = 0;
  PretrainTrainer trainer(r);
  const StepReport step = trainer.run_step();
  EXPECT_TRUE(step.finite);
  EXPECT_GT(step.image.count, 0);
  EXPECT_GT(step.pair_text.count, 0);
  EXPECT_EQ(step.pair_image.count, 0);
  r.images = 0;
  PretrainTrainer words_alone(r);
  EXPECT_TRUE(words_alone.run_step().finite);
  EXPECT_EQ(words_alone.run_step().image.count, 0);
}

TEST_F(Trainer, MakesBatchesThatDependOnTheStepAlone) {
  const PretrainTrainer trainer(recipe());
  const PretrainBatch a = make_batch(trainer.data(), 7), b = make_batch(trainer.data(), 7);
  const PretrainBatch c = make_batch(trainer.data(), 8);
  EXPECT_EQ(a.ids, b.ids);
  EXPECT_EQ(a.pixels, b.pixels);
  EXPECT_EQ(a.masked, b.masked);
  EXPECT_NE(a.masked, c.masked);
  EXPECT_EQ(static_cast<int64_t>(a.keep.size()),
            a.image_patches + a.pair_patches + a.pair_words + a.text_words);
  EXPECT_EQ(a.image_patches, 4 * 26);  // 40 % of 64
  EXPECT_TRUE(std::is_sorted(a.keep.begin(), a.keep.end()));
}

TEST_F(Trainer, NamesAMissingSource) {
  PretrainRecipe r = recipe();
  r.data.texts.clear();
  EXPECT_THROW(PretrainTrainer{r}, ValueError);
  r = recipe();
  r.data.images = (folder / "nowhere").string();
  EXPECT_THROW(PretrainTrainer{r}, IoError);
}

}  // namespace
}  // namespace tessera::beit3
