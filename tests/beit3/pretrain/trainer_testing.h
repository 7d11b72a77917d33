#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "beit3/data/world.h"
#include "beit3/pretrain/trainer.h"
#include "beit3/text/unigram_trainer.h"
#include "beit3/vqkd/vqkd.h"

namespace tessera::beit3 {

/// A small drawn world with both tokenizers, made once.
class Trainer : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder =
        std::filesystem::temp_directory_path() / ("tessera-trainer-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
    WorldOptions world;
    world.train = 40;
    world.held_out = 8;
    world.texts = 40;
    world.instances = false;
    write_world((folder / "world").string(), world);
    std::vector<std::string> lines;
    for (int64_t i = 0; i < 200; ++i) lines.push_back(describe_scene({}, i).caption);
    TrainerOptions options;
    options.spec.vocab_size = 90;
    options.spec.hard_vocab_limit = false;
    options.whole_words = true;
    save_model(train_unigram(lines, options, {}), (folder / "text.model").string());
    save_vqkd(Vqkd(VqkdConfig{.codes = 32}, RandomKey{5}), (folder / "image.vq").string());
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder); }

  static PretrainRecipe recipe(Form form = Form::released) {
    PretrainRecipe r;
    r.model.form = form;
    r.model.vl_layers = 1;
    r.model.width = 32;
    r.model.layers = 2;
    r.model.ffn = 64;
    r.model.drop_path = 0.1;
    r.data.images = r.data.pairs = (folder / "world").string();
    r.data.texts = (folder / "world" / "texts.txt").string();
    r.text_tokenizer = (folder / "text.model").string();
    r.image_tokenizer = (folder / "image.vq").string();
    r.images = r.texts = r.pairs = 4;
    r.steps = 20;
    r.warmup = 4;
    r.word_power = 0.5;
    return r;
  }
  static std::string hash_after(PretrainTrainer& trainer, int64_t steps) {
    while (trainer.step() < steps) trainer.run_step();
    return trainer.parameter_hash();
  }

  static inline std::filesystem::path folder;
};

}  // namespace tessera::beit3
