#include <memory>

#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/interrupt.h"
#include "beit3/cli/loaded_run.h"
#include "beit3/cli/machine_options.h"
#include "beit3/cli/terminal.h"
#include "beit3/pretrain/evaluate.h"

namespace tessera::beit3::cli {
namespace {

struct Stopped {};

struct EvalOptions {
  RunOptions run;
  MachineOptions machine;
  int64_t samples = 500;
  double hidden = 0.5;
  uint64_t seed = 1;
  bool json = false;
};

int eval(const EvalOptions& o) {
  check<UsageError>(o.samples >= 0, "--samples is {}; expected 0 (all) or more", o.samples);
  check_share("--hidden", o.hidden);
  o.machine.apply();
  const LoadedRun run = load_run(o.run);
  check<UsageError>(!run.recipe.data.held_out.empty() || !run.recipe.data.held_out_texts.empty(),
                    "{} names no held-out data; give --held-out or --held-out-texts", o.run.path);
  const InterruptGuard interrupt;
  Evaluation result;
  try {
    LiveLine line;
    EvaluationOptions options;
    options.samples = o.samples;
    options.hidden = o.hidden;
    options.seed = o.seed;
    options.progress = [&](int64_t done, int64_t total) {
      if (interrupt.interrupted()) throw Stopped{};
      line.count("evaluating", done, total);
    };
    result = evaluate(run.model, run.tokenizer, *run.vq, run.recipe,
                      lexicon_of(run.recipe.data.held_out), options);
  } catch (const Stopped&) {
    say("stopped");
    return kInterrupted;
  }
  say(format("{}, step {}", run.checkpoint.string(), run.step));
  print(o.json ? to_json(result) + "\n" : to_table(result));
  return kDone;
}

}  // namespace

Command eval_command() {
  auto o = std::make_shared<EvalOptions>();
  Command command{
      .name = "eval",
      .summary = "masked accuracy a modality on held-out data, beside simple guesses",
      .notes =
          "Masked words of captions are asked twice: with their own picture, and with another\n"
          "sample's. What is right only with the right one was read off the picture.\n\n"
          "examples:\n"
          "  beit3 eval run\n"
          "  beit3 eval run --samples 0 --json\n"
          "  beit3 eval run --hidden 0\n"
          "  beit3 eval run/checkpoints/00000500.safetensors\n",
      .run = [o] { return eval(*o); }};
  o->run.add_to(command.options);
  command.options.push_back(
      {"--samples", &o->samples, "of each kind, from the front; 0: all (500)"});
  command.options.push_back(
      {"--hidden", &o->hidden, "share of a caption's words hidden at once; 0: one word (0.5)"});
  command.options.push_back({"--seed", &o->seed, "decides the masks (1)"});
  command.options.push_back({"--json", &o->json, "as one JSON object"});
  o->machine.add_to(command.options);
  return command;
}

}  // namespace tessera::beit3::cli
