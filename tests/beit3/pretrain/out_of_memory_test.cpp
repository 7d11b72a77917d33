// Memory runs out somewhere in a whole training step, or while a checkpoint is loaded: the run
// stays what it was, and goes on with the same bits as one that was never disturbed.
#include "beit3/image/files.h"
#include "tests/beit3/pretrain/trainer_testing.h"
#include "tests/testing/failing_allocations.h"

namespace tessera::beit3 {
namespace {

using tessera::testing::fail_allocations;

/// Without and with Muon, whose learning rate is the parameter.
class TrainerOutOfMemory : public Trainer, public ::testing::WithParamInterface<double> {
 protected:
  static PretrainRecipe tiny() {
    PretrainRecipe r = recipe();
    r.muon_lr = GetParam();
    r.model.layers = 1;
    r.images = r.texts = r.pairs = 2;
    r.accumulate = 2;
    r.average_decay = 0.9;
    r.data.threads = 0;  // batches are made by the step itself
    return r;
  }
  /// Everything that a checkpoint holds: parameters, optimizer, step.
  static std::string bytes_of(const PretrainTrainer& trainer) {
    const auto file = folder / "state.safetensors";
    trainer.save(file);
    return read_text_file(file.string());
  }
};

INSTANTIATE_TEST_SUITE_P(All, TrainerOutOfMemory, ::testing::Values(0.0, 2e-3),
                         [](const auto& test) { return test.param > 0 ? "muon" : "adamw"; });

TEST_P(TrainerOutOfMemory, AStepIsTakenWholeOrNotAtAll) {
  PretrainTrainer unbroken(tiny()), trainer(tiny());
  hash_after(unbroken, 2);
  hash_after(trainer, 2);
  const std::string before = bytes_of(trainer);
  const int64_t failures = fail_allocations([&] { trainer.run_step(); }, [] {},
                                            [&] { EXPECT_EQ(bytes_of(trainer), before); },
                                            /*stride=*/19);
  EXPECT_GT(failures, 20);
  EXPECT_EQ(trainer.step(), 3);
  hash_after(unbroken, 3);
  EXPECT_EQ(bytes_of(trainer), bytes_of(unbroken));
  EXPECT_EQ(hash_after(trainer, 5), hash_after(unbroken, 5));
}

TEST_F(Trainer, AStepThatEndsAmidItsUpdatesSaysSo) {
  PretrainRecipe r = recipe();
  r.clip = 0;
  r.update_in_backward = true;
  r.model.layers = 1;
  r.data.threads = 0;
  PretrainTrainer unbroken(r), trainer(r);
  const auto file = folder / "before_the_tear.safetensors";
  hash_after(trainer, 2);
  trainer.save(file);
  hash_after(unbroken, 3);
  int64_t torn = 0;
  const int64_t failures = fail_allocations(
      [&] { trainer.run_step(); }, [] {},
      [&] {
        try {
          trainer.save(folder / "torn.safetensors");
        } catch (const StateError& e) {
          ++torn;
          EXPECT_EQ(std::string(e.what()).find("step 3 ended amid its updates"), 0u) << e.what();
          EXPECT_THROW(trainer.run_step(), StateError);
          trainer.load(file);
        }
      },
      /*stride=*/19);
  EXPECT_GT(torn, 3);
  EXPECT_GT(failures - torn, 3);  // before backward nothing has changed
  EXPECT_EQ(trainer.parameter_hash(), unbroken.parameter_hash());
}

TEST_P(TrainerOutOfMemory, ACheckpointIsLoadedWholeOrNotAtAll) {
  const auto file = folder / "to_load.safetensors";
  std::string saved;
  {
    PretrainTrainer first(tiny());
    hash_after(first, 3);
    first.save(file);
    saved = bytes_of(first);
  }
  PretrainTrainer trainer(tiny());
  hash_after(trainer, 1);
  const std::string before = bytes_of(trainer);
  EXPECT_GT(fail_allocations([&] { trainer.load(file); }, [] {},
                             [&] { EXPECT_EQ(bytes_of(trainer), before); }, /*stride=*/7),
            20);
  EXPECT_EQ(bytes_of(trainer), saved);
}

}  // namespace
}  // namespace tessera::beit3
