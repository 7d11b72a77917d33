// A program that is killed while it writes: what lies on the disk afterwards is the old or the new,
// whole. Tried at every call to the system that a write makes.
#include "tests/testing/killed.h"

#include <filesystem>

#include "beit3/image/files.h"
#include "beit3/pretrain/run_folder.h"
#include "beit3/text/sentencepiece_model.h"
#include "nn/io/safetensors.h"
#include "tensor/ops/creation.h"

namespace tessera::beit3 {
namespace {

namespace fs = std::filesystem;
using tessera::testing::kill_everywhere;

/// Files in the folder and below it.
int64_t files_in(const fs::path& folder) {
  int64_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    count += entry.is_regular_file();
  return count;
}

class Killed : public ::testing::Test {
 protected:
  Killed()
      : folder_(fs::path(::testing::TempDir()) / ("tessera_killed_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~Killed() override { fs::remove_all(folder_); }

  fs::path folder_;
};

/// As a checkpoint of a model with `tensors` tensors; all elements are the step.
nn::StateDict state_of(int step, int tensors) {
  nn::StateDict state;
  for (int i = 0; i < tensors; ++i) {
    state.emplace("layer." + std::to_string(i), full({64}, step, {.dtype = DType::f32}));
  }
  return state;
}

/// The step of a file that holds exactly what was written of one.
int step_of(const fs::path& path, int tensors) {
  const nn::SafetensorsFile file = nn::load_safetensors(path.string());
  const int step = std::stoi(file.metadata.at("step"));
  EXPECT_EQ(file.tensors.size(), static_cast<size_t>(tensors));
  const std::vector<float> expected(64, static_cast<float>(step));
  for (const auto& [name, tensor] : file.tensors) EXPECT_EQ(tensor.to_vector<float>(), expected);
  return step;
}

void save(const fs::path& path, const nn::StateDict& state, int step) {
  nn::save_safetensors(path.string(), state, {{"step", std::to_string(step)}});
}

TEST_F(Killed, ACheckpointThatReplacesAnotherIsTheOldOrTheNewOne) {
  constexpr int kTensors = 240;
  const nn::StateDict old_state = state_of(1, kTensors), new_state = state_of(2, kTensors);
  const fs::path path = folder_ / "model.safetensors";
  save(path, old_state, 1);
  const std::string old_bytes = read_text_file(path.string());
  int64_t olds = 0, news = 0;
  const int64_t kills = kill_everywhere([&] { write_file_plainly(path.string(), old_bytes); },
                                        [&] { save(path, new_state, 2); },
                                        [&] { ++(step_of(path, kTensors) == 1 ? olds : news); });
  EXPECT_GE(kills, 500);
  EXPECT_GT(olds, 480);
  EXPECT_GT(news, 2);
}

class KilledRun : public Killed {
 protected:
  PretrainRecipe recipe() const {
    PretrainRecipe r;
    r.text_tokenizer = (folder_ / "a.model").string();
    r.image_tokenizer = (folder_ / "a.vq").string();
    write_file_plainly(r.text_tokenizer, "text");
    write_file_plainly(r.image_tokenizer, "image");
    return r;
  }
};

TEST_F(KilledRun, ARunAlwaysHasACheckpoint) {
  constexpr int kTensors = 20;
  const nn::StateDict first = state_of(1, kTensors), second = state_of(2, kTensors);
  const RunFolder run = RunFolder::create(folder_ / "run", recipe());
  save(run.checkpoint_path(1), first, 1);
  const std::string first_bytes = read_text_file(run.checkpoint_path(1).string());
  int64_t olds = 0, news = 0;
  const auto reset = [&] {
    for (const fs::path& file : run.checkpoints()) fs::remove(file);
    write_file_plainly(run.checkpoint_path(1).string(), first_bytes);
    write_file_plainly((run.path() / "metrics.jsonl").string(), "{\"step\": 1}\n");
  };
  const auto next = [&] {
    run.add_metrics("{\"step\": 2}");
    save(run.checkpoint_path(2), second, 2);
    run.prune(1);
  };
  const auto inspect = [&] {
    const RunFolder again = RunFolder::open(run.path());
    ASSERT_TRUE(again.newest_checkpoint().has_value());
    const int step = step_of(*again.newest_checkpoint(), kTensors);
    ++(step == 1 ? olds : news);
    EXPECT_EQ(again.newest_checkpoint(), again.checkpoint_path(step));
    // Going on from there writes the lines that were lost, or came too early, again.
    again.truncate_metrics(step);
    const std::string lines = read_text_file((run.path() / "metrics.jsonl").string());
    EXPECT_EQ(lines, step == 1 ? "{\"step\": 1}\n" : "{\"step\": 1}\n{\"step\": 2}\n");
    again.prune(1);
    EXPECT_EQ(files_in(run.path() / "checkpoints"), 1);
  };
  EXPECT_GT(kill_everywhere(reset, next, inspect), 80);
  EXPECT_GT(olds, 40);
  EXPECT_GT(news, 10);
}

TEST_F(KilledRun, ARunThatWasHalfMadeCanBeMadeAgain) {
  const PretrainRecipe r = recipe();
  const fs::path path = folder_ / "run";
  int64_t made = 0, again = 0;
  const auto inspect = [&] {
    if (fs::exists(path / "config.toml")) {
      ++made;
      EXPECT_EQ(field_values(RunFolder::open(path).recipe()).size(), field_values(r).size());
    } else {
      ++again;
      RunFolder::create(path, r);
    }
    EXPECT_EQ(read_text_file((path / "text.model").string()), "text");
    EXPECT_EQ(read_text_file((path / "image.vq").string()), "image");
  };
  EXPECT_GT(
      kill_everywhere([&] { fs::remove_all(path); }, [&] { RunFolder::create(path, r); }, inspect),
      60);
  EXPECT_GT(made, 5);
  EXPECT_GT(again, 40);
}

TEST_F(Killed, ATokenizerThatReplacesAnotherIsTheOldOrTheNewOne) {
  SentencePieceModel old_model, new_model;
  old_model.pieces = {{"old", 0}};
  new_model.pieces = {{"new", 0}, {"er", 0}};
  const std::string path = (folder_ / "a.model").string();
  int64_t olds = 0, news = 0;
  kill_everywhere([&] { save_model(old_model, path); }, [&] { save_model(new_model, path); },
                  [&] {
                    const SentencePieceModel read = load_model(path);
                    const bool is_old = read.pieces.at(0).text == "old";
                    ++(is_old ? olds : news);
                    EXPECT_EQ(serialize_model(read),
                              serialize_model(is_old ? old_model : new_model));
                  });
  EXPECT_GT(olds, 5);
  EXPECT_GT(news, 2);
}

}  // namespace
}  // namespace tessera::beit3
