#include "beit3/cli/command_vq_train.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>

#include "autograd/grad_mode.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/interrupt.h"
#include "beit3/cli/machine_options.h"
#include "beit3/cli/terminal.h"
#include "beit3/cli/vq_pictures.h"
#include "beit3/vqkd/train.h"

namespace tessera::beit3::cli {
namespace {

struct TrainOptions {
  std::string data, split = "train", out, teacher;
  bool augment = false, resume = false;
  int64_t save_every = 1000, max_steps = 0;
  VqkdRecipe recipe;
  MachineOptions machine;

  /// Where an unfinished training is kept.
  std::string unfinished() const { return out + ".training"; }
};

/// Checks the options, and completes the recipe from them.
void settle(TrainOptions& o) {
  check<UsageError>(o.recipe.steps > 0, "--steps is {}; expected 1 or more", o.recipe.steps);
  check<UsageError>(o.recipe.batch > 0 && o.recipe.batch <= 4096,
                    "--batch is {}; expected 1 … 4096", o.recipe.batch);
  check<UsageError>(o.recipe.lr > 0, "--lr is {}; it must be positive", o.recipe.lr);
  check<UsageError>(o.save_every >= 0 && o.max_steps >= 0,
                    "--save-every is {} and --max-steps {}; expected 0 or more", o.save_every,
                    o.max_steps);
  const std::filesystem::path folder = std::filesystem::path(o.out).parent_path();
  check<IoError>(folder.empty() || std::filesystem::is_directory(folder),
                 "--out {}: there is no folder {}", o.out, folder.string());
  check<UsageError>(o.teacher.empty() || !o.augment,
                    "--teacher and --augment exclude each other: features are of whole pictures");
  // A short training gets short beginnings.
  o.recipe.warmup = std::min(o.recipe.warmup, o.recipe.steps / 2);
  o.recipe.plain_steps = std::min(o.recipe.plain_steps, o.recipe.steps / 2);
  const bool left = std::filesystem::exists(o.unfinished());
  check<UsageError>(left || !o.resume, "there is no {}: nothing to resume", o.unfinished());
  check<UsageError>(!left || o.resume,
                    "{} holds a training that was stopped; --resume goes on, or remove the file",
                    o.unfinished());
}

/// The teacher's features, if they are of these pictures and of patches like the recipe's.
TeacherFeatures open_teacher(const TrainOptions& o, const VqPictures& pictures) {
  TeacherFeatures teacher(o.teacher);
  check<IoError>(teacher.patches() == o.recipe.model.patches(),
                 "{}: features of {} patches a picture, but pictures of {} pixels have {} of {}; "
                 "change --image-size or --patch",
                 o.teacher, teacher.patches(), o.recipe.model.image_size, o.recipe.model.patches(),
                 o.recipe.model.patch);
  for (int64_t record : pictures.records()) {
    check<IoError>(teacher.contains(record),
                   "{}: there are no features of picture {} of {} (its place, from 0)", o.teacher,
                   record, o.data);
  }
  return teacher;
}

int train(TrainOptions& o) {
  settle(o);
  o.machine.apply();
  VqPictures pictures(open_dataset(o.data, {.split = o.split}), o.recipe.model.image_size,
                      o.augment);
  std::optional<TeacherFeatures> teacher;
  if (!o.teacher.empty()) {
    teacher = open_teacher(o, pictures);
    o.recipe.model.target = VqkdTarget::features;
    o.recipe.model.target_width = teacher->width();
  }
  const EpochOrder order(pictures.size(), RandomKey{o.recipe.seed}.fold(3));
  Drawn batch;
  VqkdSource source;
  source.images = [&](int64_t step) {
    batch = pictures.drawn(order, step * o.recipe.batch, o.recipe.batch,
                           RandomKey{o.recipe.seed}.fold(4));
    return batch.pixels;
  };
  if (teacher) {
    source.features = [&](int64_t) {
      return teacher->of(batch.records);
    };  // of the batch just drawn
  }
  VqkdTrainer trainer(o.recipe, source);
  if (o.resume) {
    trainer.load(o.unfinished());
    say(format("going on after step {} of {}", trainer.step(), o.recipe.steps));
  }
  const InterruptGuard interrupt;
  const auto begin = std::chrono::steady_clock::now();
  const int64_t first = trainer.step();
  {
    LiveLine line;
    while (!trainer.done()) {
      const VqkdStep s = trainer.run_step();
      const double seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      const double left = seconds / static_cast<double>(s.step - first) *
                          static_cast<double>(o.recipe.steps - s.step);
      line.show(
          format("step {} of {}: target {}, pixels {}, commitment {}, codes {} of {}, "
                 "perplexity {}, revived {}, {} left",
                 s.step, o.recipe.steps, fixed(s.target_loss, 4), fixed(s.pixel_loss, 4),
                 fixed(s.commitment, 4), s.usage.used, s.usage.codes, fixed(s.usage.perplexity, 1),
                 s.revived, duration_text(left)));
      const bool enough = o.max_steps > 0 && s.step - first >= o.max_steps;
      const bool stop = (interrupt.interrupted() || enough) && !trainer.done();
      const bool due = o.save_every > 0 && s.step % o.save_every == 0;
      if (stop || (due && !trainer.done())) trainer.save(o.unfinished());
      if (stop) {
        say(format("stopped and saved after step {}; the same command with --resume goes on",
                   s.step));
        return enough ? kDone : kInterrupted;
      }
    }
  }
  save_vqkd(trainer.model(), o.out);
  std::filesystem::remove(o.unfinished());
  const NoGrad silent;
  const CodeUsage usage = usage_on(trainer.model(), pictures, 2000);
  say(format("{}: {} of {} codes used, perplexity {}", o.out, usage.used, usage.codes,
             fixed(usage.perplexity, 1)));
  if (const BrokenImages broken = pictures.broken(); broken.count > 0) {
    say(format("{} pictures could not be read; each was replaced by the next: {}", broken.count,
               broken.messages.front()));
  }
  return warn_if_collapsed(usage);
}

}  // namespace

Command vq_train_command() {
  auto o = std::make_shared<TrainOptions>();
  VqkdConfig& m = o->recipe.model;
  Command command{
      .name = "train",
      .summary = "make an image tokenizer from pictures",
      .notes =
          "Codes are learned without labels: each patch becomes one of --codes numbers, from\n"
          "which pixels, directions of edges and mean colour can be rebuilt. With --teacher the\n"
          "codes keep what another model says of the patches instead: a safetensors file with\n"
          "`features` (pictures, patches, width), and `ids` (pictures) if its order is another.\n"
          "Ctrl-C saves; the same command with --resume goes on, bit for bit. Ends with 8 if\n"
          "the codebook collapsed.\n\nexamples:\n  beit3 vq train --data world --out image.vq\n"
          "  beit3 vq train --data photos --augment --codes 512 --steps 2000 --out photos.vq\n"
          "  beit3 vq train --data photos --teacher dino.safetensors --out photos.vq\n",
      .options = {{"--data", &o->data, "pictures: folder, tar or JSONL", "PATH", true},
                  {"--split", &o->split, "of data that has several (train)", "NAME"},
                  {"--out", &o->out, "the file to write", "FILE", true},
                  {"--teacher", &o->teacher, "a teacher's features of these pictures", "FILE"},
                  {"--resume", &o->resume, "go on with a training that was stopped"},
                  {"--max-steps", &o->max_steps, "stop, saved, after so many steps; 0: never"},
                  {"--save-every", &o->save_every, "steps between saves; 0: none (1000)"},
                  {"--steps", &o->recipe.steps, "optimizer steps (350)"},
                  {"--batch", &o->recipe.batch, "pictures a step (64)"},
                  {"--lr", &o->recipe.lr, "peak learning rate (0.004)"},
                  {"--seed", &o->recipe.seed, "decides every draw (0)"},
                  {"--augment", &o->augment, "random resized crops and flips"},
                  {"--codes", &m.codes, "size of the codebook (128)"},
                  {"--code-width", &m.code_width, "elements of a code (16)"},
                  {"--image-size", &m.image_size, "side of a picture, pixels (64)"},
                  {"--patch", &m.patch, "side of a patch, pixels (8)"},
                  {"--width", &m.width, "hidden size (64)"},
                  {"--heads", &m.heads, "attention heads (4)"},
                  {"--encoder-layers", &m.encoder_layers, "layers before the codes (2)"},
                  {"--decoder-layers", &m.decoder_layers, "layers after them (1)"}},
      .run = [o] { return train(*o); }};
  o->machine.add_to(command.options);
  return command;
}

}  // namespace tessera::beit3::cli
