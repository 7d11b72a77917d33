#include <filesystem>
#include <memory>

#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/loaded_run.h"
#include "beit3/cli/machine_memory.h"
#include "beit3/cli/machine_options.h"
#include "beit3/cli/pretrain_loop.h"
#include "beit3/cli/recipe_options.h"
#include "beit3/cli/terminal.h"
#include "beit3/pretrain/evaluate.h"

namespace tessera::beit3::cli {
namespace {

struct PretrainOptions {
  RecipeOptions recipe;
  MachineOptions machine;
  std::string out;
  int64_t max_steps = 0;
  bool dry_run = false;
};

/// What a run would do, without doing it.
void describe(PretrainTrainer& trainer) {
  const PretrainRecipe& r = trainer.recipe();
  const PretrainData& data = trainer.data();
  print(to_toml(r));
  auto source = [](std::string_view name, const PretrainData::Source& s, int64_t a_step) {
    if (s.present()) {
      say(format("{}: {} samples, {} a step", name, static_cast<int64_t>(s.usable.size()), a_step));
    }
  };
  source("images", data.images(), r.images);
  source("texts", data.texts(), r.texts);
  source("pairs", data.pairs(), r.pairs);
  const PretrainBatch batch = make_batch(data, 0);
  say(format("{} parameters, {} text ids, {} image codes; about {} tokens a step, {} steps",
             trainer.model().parameter_count(), r.model.text_rows, r.model.codes,
             batch.layout.rows() * r.accumulate, r.steps));
  say("dry run: nothing was written");
}

/// Complaints about what is read at the first evaluation come now.
void check_evaluation(const PretrainRecipe& recipe) {
  check_held_out(recipe);
  lexicon_of(recipe.data.held_out);
}

int pretrain(const PretrainOptions& o) {
  check<UsageError>(o.max_steps >= 0, "--max-steps is {}; expected 0 or more", o.max_steps);
  check<UsageError>(!o.out.empty() || o.dry_run,
                    "pretrain needs --out, the folder of the run; see: beit3 pretrain --help");
  o.machine.apply();
  PretrainRecipe recipe = o.recipe.resolve();
  for (std::string* path : {&recipe.data.images, &recipe.data.pairs, &recipe.data.texts,
                            &recipe.data.held_out, &recipe.data.held_out_texts}) {
    // As the run folder keeps them: names of records, and so the data's identity, hang on it.
    if (!path->empty()) *path = std::filesystem::absolute(*path).lexically_normal().string();
  }
  validate(recipe);
  const bool one_modality =
      recipe.data.pairs.empty() && (recipe.data.images.empty() || recipe.data.texts.empty());
  check_training_fits(recipe.model, one_modality);
  // Reads everything that the recipe names: complaints come before a folder is made.
  PretrainTrainer trainer(recipe);
  check_evaluation(recipe);
  if (o.dry_run) {
    describe(trainer);
    return kDone;
  }
  const RunFolder folder = RunFolder::create(o.out, recipe);
  return pretrain_loop(trainer, folder, o.max_steps);
}

struct ResumeOptions {
  std::string run;
  MachineOptions machine;
  int64_t max_steps = 0;
};

/// Loads the newest checkpoint that is whole; one that was damaged is passed over, and said so.
void load_newest(PretrainTrainer& trainer, const RunFolder& folder) {
  const auto all = folder.checkpoints();
  std::string first_trouble;
  for (auto path = all.rbegin(); path != all.rend(); ++path) {
    try {
      trainer.load(*path);
      return;
    } catch (const IoError& e) {
      say(format("cannot use {}: {}", path->string(), e.what()));
      if (first_trouble.empty()) first_trouble = e.what();
    }
  }
  check<IoError>(first_trouble.empty(), "no checkpoint of {} can be read: {}",
                 folder.path().string(), first_trouble);
  say("no checkpoint yet: starting at step 0");
}

int resume(const ResumeOptions& o) {
  check<UsageError>(o.max_steps >= 0, "--max-steps is {}; expected 0 or more", o.max_steps);
  o.machine.apply();
  const RunFolder folder = RunFolder::open(o.run);
  PretrainTrainer trainer(folder.recipe());
  load_newest(trainer, folder);
  folder.truncate_metrics(trainer.step());
  if (trainer.step() >= trainer.recipe().steps) {
    say(format("{} is complete: all {} steps are done; `beit3 eval {}` evaluates it", o.run,
               trainer.recipe().steps, o.run));
    return kDone;
  }
  check_evaluation(trainer.recipe());
  return pretrain_loop(trainer, folder, o.max_steps);
}

constexpr const char* kPretrainNotes =
    "A value comes from its flag, else from --config, else from --preset, else from the default\n"
    "in brackets. Everything a run leaves is in its folder: config.toml, metrics.jsonl, log.txt,\n"
    "checkpoints, sheets, and copies of both tokenizers. Ctrl-C finishes the step, saves, and "
    "ends\n"
    "with 75.\n\n"
    "examples:\n"
    "  beit3 pretrain --out run --data.images world --data.pairs world \\\n"
    "      --data.texts world/texts.txt --data.held_out world \\\n"
    "      --tokenizer.text text.model --tokenizer.image image.vq\n"
    "  beit3 pretrain --out run --config my.toml --steps 5000 --lr 0.001\n"
    "  beit3 pretrain --config my.toml --dry-run         what would be done\n"
    "  beit3 pretrain --out test --config my.toml --overfit 4 --steps 200   can it learn at all?\n";

}  // namespace

Command pretrain_command() {
  auto o = std::make_shared<PretrainOptions>();
  Command command{
      .name = "pretrain",
      .summary = "masked data modelling on images, texts and pairs, in one step and one pass",
      .notes = kPretrainNotes,
      .options = {{"--out", &o->out, "folder of the run, which must be new", "RUN"},
                  {"--max-steps", &o->max_steps,
                   "stop, saved, after so many steps; the learning rate still follows --steps"},
                  {"--dry-run", &o->dry_run, "open everything, print the configuration, stop"}},
      .run = [o] { return pretrain(*o); }};
  o->machine.add_to(command.options);
  o->recipe.add_to(command.options);
  return command;
}

Command resume_command() {
  auto o = std::make_shared<ResumeOptions>();
  Command command{
      .name = "resume",
      .summary = "go on with a run, bit for bit as if it had never stopped",
      .notes = "examples:\n  beit3 resume run\n  beit3 resume run --max-steps 100\n",
      .options = {{"RUN", &o->run, "folder of the run", "", true},
                  {"--max-steps", &o->max_steps, "stop, saved, after so many further steps"}},
      .run = [o] { return resume(*o); }};
  o->machine.add_to(command.options);
  return command;
}

}  // namespace tessera::beit3::cli
