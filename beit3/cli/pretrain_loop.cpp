#include "beit3/cli/pretrain_loop.h"

#include <algorithm>
#include <chrono>
#include <deque>

#include "beit3/cli/exit_codes.h"
#include "beit3/cli/interrupt.h"
#include "beit3/cli/loaded_run.h"
#include "beit3/cli/show_model.h"
#include "beit3/cli/terminal.h"
#include "beit3/image/encode.h"

namespace tessera::beit3::cli {
namespace {

/// Steps in a row without a finite loss after which going on makes no sense.
constexpr int64_t kHopelessSteps = 20;
/// Held-out pictures on a sheet.
constexpr int64_t kShown = 12;

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// What some steps did together.
struct Interval {
  int64_t steps = 0, sequences = 0, rows = 0;
  double loss = 0, grad_norm = 0, lr = 0;
  PartResult image, text, pair_text, pair_image;
  Clock::time_point begin = Clock::now();

  void add(const StepReport& r) {
    ++steps;
    sequences += r.sequences;
    rows += r.rows;
    loss += r.loss;
    grad_norm += r.grad_norm;
    lr = r.lr;
    image.add(r.image);
    text.add(r.text);
    pair_text.add(r.pair_text);
    pair_image.add(r.pair_image);
  }
  double mean(double sum) const { return sum / static_cast<double>(std::max<int64_t>(steps, 1)); }
  double rate(int64_t n) const {
    return static_cast<double>(n) / std::max(seconds_since(begin), 1e-9);
  }
};

struct NamedPart {
  const char *key, *label;
  const PartResult& part;
};
std::vector<NamedPart> parts_of(const Interval& i) {
  std::vector<NamedPart> parts;
  for (const NamedPart& p :
       {NamedPart{"image", "image", i.image}, NamedPart{"text", "text", i.text},
        NamedPart{"pair_text", "pair words", i.pair_text},
        NamedPart{"pair_image", "pair patches", i.pair_image}}) {
    if (p.part.count > 0) parts.push_back(p);
  }
  return parts;
}

std::string metrics_line(int64_t step, const Interval& i, int64_t broken) {
  std::string out = format("{\"step\": {}, \"loss\": {}", step, json_number(i.mean(i.loss)));
  for (const NamedPart& p : parts_of(i)) {
    out += format(", \"{}\": {\"loss\": {}, \"accuracy\": {}, \"count\": {}}", p.key,
                  json_number(p.part.loss()), json_number(p.part.accuracy()), p.part.count);
  }
  return out + format(
                   ", \"lr\": {}, \"grad_norm\": {}, \"samples_per_second\": {}, "
                   "\"tokens_per_second\": {}, \"broken_pictures\": {}}",
                   json_number(i.lr), json_number(i.mean(i.grad_norm)),
                   json_number(i.rate(i.sequences)), json_number(i.rate(i.rows)), broken);
}

/// Loss and masked accuracy a modality: "image 3.02 .41".
std::string live_line(int64_t step, int64_t steps, const Interval& i, double left) {
  std::string out = format("step {}/{}  loss {}", step, steps, fixed(i.mean(i.loss), 3));
  for (const NamedPart& p : parts_of(i)) {
    out +=
        format("  {} {} ({} right)", p.label, fixed(p.part.loss(), 2), fixed(p.part.accuracy(), 2));
  }
  return out + format("  lr {}  |g| {}  {} samples/s  {} tokens/s  {} left", short_number(i.lr, 3),
                      fixed(i.mean(i.grad_norm), 2), fixed(i.rate(i.sequences), 0),
                      fixed(i.rate(i.rows), 0), duration_text(left));
}

class Loop {
 public:
  Loop(PretrainTrainer& trainer, const RunFolder& folder, int64_t max_steps)
      : trainer_(trainer), folder_(folder), recipe_(trainer.recipe()), steps_(recipe_.steps) {
    last_ = max_steps > 0 ? std::min(steps_, trainer.step() + max_steps) : steps_;
  }

  int run() {
    tell(format("{}: step {} of {}, {} parameters", folder_.path().string(), trainer_.step(),
                steps_, trainer_.model().parameter_count()));
    while (trainer_.step() < last_ && !interrupt_.interrupted()) one_step();
    if (saved_ != trainer_.step()) save();
    if (interrupt_.interrupted()) return stopped();
    if (trainer_.step() < steps_) {
      tell(format("stopped after step {} as asked; go on with: beit3 resume {}", trainer_.step(),
                  folder_.path().string()));
      return kDone;
    }
    try {
      evaluate_now(true);
      sheet_now();
    } catch (const Stopped&) {
      return stopped();
    }
    tell(format("done: {} (parameters {})", folder_.checkpoint_path(steps_).string(),
                trainer_.parameter_hash()));
    return kDone;
  }

 private:
  struct Stopped {};

  /// To the standard error and to the run's log.
  void tell(const std::string& line) {
    say(line);
    folder_.add_log(line);
  }

  int stopped() {
    tell(format("stopped at step {}, saved; go on with: beit3 resume {}", trainer_.step(),
                folder_.path().string()));
    return kInterrupted;
  }

  void one_step() {
    const StepReport report = trainer_.run_step();
    watch(report);
    interval_.add(report);
    recent_.push_back(Clock::now());
    if (recent_.size() > 50) recent_.pop_front();
    const int64_t step = report.step;
    const bool edge = step == last_ || interrupt_.interrupted();
    const std::string text = live_line(step, steps_, interval_, seconds_left(step));
    if (is_live()) line_.show(text);
    if (step % recipe_.log_every == 0 || edge) {
      folder_.add_metrics(metrics_line(step, interval_, trainer_.data().broken()));
      folder_.add_log(text);
      if (!is_live() && (plain_first_ || edge || seconds_since(plain_last_) > 5)) {
        say(text);
        plain_first_ = false;
        plain_last_ = Clock::now();
      }
      report_broken();
      interval_ = {};
    }
    auto due = [&](int64_t every) { return every > 0 && step % every == 0 && step < steps_; };
    if (due(recipe_.save_every)) save();
    try {
      if (due(recipe_.eval_every)) evaluate_now(false);
      if (due(recipe_.sheet_every)) sheet_now();
    } catch (const Stopped&) {  // the loop sees it, too
    }
  }

  double seconds_left(int64_t step) const {
    if (recent_.size() < 2) return 0;
    const double passed = std::chrono::duration<double>(recent_.back() - recent_.front()).count();
    return passed / static_cast<double>(recent_.size() - 1) * static_cast<double>(last_ - step);
  }

  void watch(const StepReport& report) {
    hopeless_ = report.finite ? 0 : hopeless_ + 1;
    if (report.finite) return;
    tell(format("step {}: loss or gradient is not finite; the update was skipped", report.step));
    check<StateError>(hopeless_ < kHopelessSteps,
                      "{} steps in a row were not finite; try a smaller optim.lr, starting from an "
                      "earlier checkpoint in {}",
                      hopeless_, (folder_.path() / "checkpoints").string());
  }

  void report_broken() {
    const int64_t broken = trainer_.data().broken();
    if (broken == broken_) return;
    broken_ = broken;
    tell(
        format("{} pictures could not be read so far; each was replaced by the next of the order "
               "(`beit3 data check` names them)",
               broken));
  }

  void save() {
    const auto path = folder_.checkpoint_path(trainer_.step());
    trainer_.save(path);
    saved_ = trainer_.step();
    folder_.prune(recipe_.keep);
    tell(format("saved {} (parameters {})", path.string(), trainer_.parameter_hash()));
  }

  void evaluate_now(bool final) {
    if (recipe_.data.held_out.empty() && recipe_.data.held_out_texts.empty()) {
      if (final) tell("no held-out data: set data.held_out to evaluate");
      return;
    }
    EvaluationOptions options;
    options.progress = [&](int64_t done, int64_t total) {
      if (interrupt_.interrupted()) throw Stopped{};
      line_.count("evaluating", done, total);
    };
    const Evaluation e =
        evaluate(trainer_.evaluated_model(), trainer_.tokenizer(), trainer_.image_tokenizer(),
                 recipe_, lexicon_of(recipe_.data.held_out), options);
    folder_.add_metrics(format("{\"step\": {}, \"evaluation\": {}}", trainer_.step(), to_json(e)));
    const std::string table = to_table(e);
    folder_.add_log(table);
    if (final) {
      print(table);
    } else {
      say(table);
    }
  }

  void sheet_now() {
    if (recipe_.data.held_out.empty()) return;
    const HeldOut samples = first_held_out(recipe_.data, kShown);
    const std::string path = folder_.sheet_path(trainer_.step()).string();
    const Shown shown{trainer_.evaluated_model(), trainer_.tokenizer(), trainer_.image_tokenizer(),
                      recipe_};
    write_png(path, filled_sheet(shown, samples.pictures, 1));
    tell("sheet: " + path);
  }

  PretrainTrainer& trainer_;
  const RunFolder& folder_;
  const PretrainRecipe& recipe_;
  const int64_t steps_;
  int64_t last_ = 0, saved_ = -1, hopeless_ = 0, broken_ = 0;
  InterruptGuard interrupt_;
  LiveLine line_;
  Interval interval_;
  std::deque<Clock::time_point> recent_;
  bool plain_first_ = true;
  Clock::time_point plain_last_ = Clock::now();
};

}  // namespace

int pretrain_loop(PretrainTrainer& trainer, const RunFolder& folder, int64_t max_steps) {
  return Loop(trainer, folder, max_steps).run();
}

}  // namespace tessera::beit3::cli
