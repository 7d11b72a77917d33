#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "autograd/grad_mode.h"
#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/interrupt.h"
#include "beit3/cli/machine_options.h"
#include "beit3/cli/terminal.h"
#include "beit3/data/loader.h"
#include "beit3/image/draw.h"
#include "beit3/image/encode.h"
#include "beit3/image/transform.h"
#include "beit3/vqkd/train.h"
#include "tensor/ops/creation.h"

namespace tessera::beit3::cli {
namespace {

/// A data set of single files.
DataSet dataset_of(const std::vector<std::string>& files) {
  DataSet data;
  data.kind = DataKind::image_folder;
  for (const std::string& file : files) {
    data.records.emplace_back();
    data.records.back().id = data.size() - 1;
    data.records.back().image_path = file;
  }
  return data;
}

/// Pictures in order, those left out that cannot be read.
struct Listed {
  Tensor pixels;                   // (n, 3, S, S) in [0, 1]; undefined if n is 0
  std::vector<std::string> names;  // n
};

/// Pictures of a data set as the tokenizer reads them.
class Pictures {
 public:
  Pictures(DataSet data, int64_t side, bool augment)
      : data_(std::move(data)), reader_(data_, size_t{1} << 29) {
    for (int64_t i = 0; i < data_.size(); ++i) {
      if (!data_.records[static_cast<size_t>(i)].image_path.empty()) usable_.push_back(i);
    }
    check<IoError>(!usable_.empty(), "{} holds no picture", data_.path);
    spec_.side = side;
    spec_.normalisation = kUnit;
    spec_.framing = augment ? Framing::random_crop : Framing::stretch;
    spec_.flip_probability = augment ? 0.5 : 0;
  }

  int64_t size() const { return static_cast<int64_t>(usable_.size()); }
  int64_t side() const { return spec_.side; }
  BrokenImages broken() const { return reader_.broken(); }

  /// (batch, 3, S, S) of the order's positions from `first` on.
  Tensor drawn(const EpochOrder& order, int64_t first, int64_t batch, RandomKey key) {
    std::vector<float> pixels;
    for (int64_t i = first; i < first + batch; ++i) {
      const ReadSample sample = read_sample(reader_, order, i, &usable_);
      append(pixels, *sample.image, key.fold(static_cast<uint64_t>(i)));
    }
    return from_data(pixels, {batch, 3, side(), side()});
  }
  /// Those of the pictures [begin, end) that can be read; the others are named.
  Listed listed(int64_t begin, int64_t end) {
    Listed result;
    std::vector<float> pixels;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t record = usable_[static_cast<size_t>(i)];
      try {
        append(pixels, *reader_.read(record), {});
        result.names.push_back(data_.image_name(record));
      } catch (const IoError& e) {
        say(std::string("left out: ") + e.what());
      }
    }
    const auto n = static_cast<int64_t>(result.names.size());
    if (n > 0) result.pixels = from_data(pixels, {n, 3, side(), side()});
    return result;
  }

 private:
  void append(std::vector<float>& pixels, const Image& image, RandomKey key) const {
    const AugmentedView view = augment(image, spec_, key);
    pixels.insert(pixels.end(), view.pixels.begin(), view.pixels.end());
  }

  DataSet data_;
  ImageReader reader_;
  std::vector<int64_t> usable_;
  AugmentSpec spec_;
};

struct TrainOptions {
  std::string data, split = "train", out;
  bool augment = false;
  VqkdRecipe recipe;
  MachineOptions machine;
};

int warn_if_collapsed(const CodeUsage& usage) {
  if (!has_collapsed(usage)) return kDone;
  say(format(
      "warning: only {} of {} codes are used: the codebook has collapsed; train longer, with "
      "fewer codes (--codes) or another seed",
      usage.used, usage.codes));
  return kCollapse;
}

CodeUsage usage_on(const Vqkd& vq, Pictures& pictures, int64_t most) {
  std::vector<int64_t> counts(static_cast<size_t>(vq.config().codes), 0);
  const int64_t n = std::min(pictures.size(), most);
  for (int64_t begin = 0; begin < n; begin += 64) {
    const Listed listed = pictures.listed(begin, std::min(begin + 64, n));
    if (listed.names.empty()) continue;
    count_codes(vq.encode(listed.pixels).to_vector<int64_t>(), counts);
  }
  return usage_of(counts);
}

int train(TrainOptions& o) {
  check<UsageError>(o.recipe.steps > 0, "--steps is {}; expected 1 or more", o.recipe.steps);
  check<UsageError>(o.recipe.batch > 0 && o.recipe.batch <= 4096,
                    "--batch is {}; expected 1 … 4096", o.recipe.batch);
  check<UsageError>(o.recipe.lr > 0, "--lr is {}; it must be positive", o.recipe.lr);
  // A short training gets short beginnings.
  o.recipe.warmup = std::min(o.recipe.warmup, o.recipe.steps / 2);
  o.recipe.plain_steps = std::min(o.recipe.plain_steps, o.recipe.steps / 2);
  o.machine.apply();
  Pictures pictures(open_dataset(o.data, {.split = o.split}), o.recipe.model.image_size, o.augment);
  const EpochOrder order(pictures.size(), RandomKey{o.recipe.seed}.fold(3));
  VqkdTrainer trainer(o.recipe, [&](int64_t step) {
    return pictures.drawn(order, step * o.recipe.batch, o.recipe.batch,
                          RandomKey{o.recipe.seed}.fold(4));
  });
  const InterruptGuard interrupt;
  const auto begin = std::chrono::steady_clock::now();
  {
    LiveLine line;
    while (trainer.step() < o.recipe.steps) {
      const VqkdStep s = trainer.run_step();
      const double seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      const double left =
          seconds / static_cast<double>(s.step) * static_cast<double>(o.recipe.steps - s.step);
      line.show(
          format("step {} of {}: target {}, pixels {}, commitment {}, codes {} of {}, "
                 "perplexity {}, revived {}, {} left",
                 s.step, o.recipe.steps, fixed(s.target_loss, 4), fixed(s.pixel_loss, 4),
                 fixed(s.commitment, 4), s.usage.used, s.usage.codes, fixed(s.usage.perplexity, 1),
                 s.revived, duration_text(left)));
      if (interrupt.interrupted()) {
        say("stopped; nothing was written: training an image tokenizer starts anew");
        return kInterrupted;
      }
    }
  }
  save_vqkd(trainer.model(), o.out);
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

Command train_command() {
  auto o = std::make_shared<TrainOptions>();
  VqkdConfig& m = o->recipe.model;
  Command command{
      .name = "train",
      .summary = "make an image tokenizer from pictures",
      .notes =
          "Codes are learned without labels: each patch becomes one of --codes numbers, from\n"
          "which pixels, directions of edges and mean colour can be rebuilt. Ends with 8 if\n"
          "the codebook collapsed.\n\nexamples:\n  beit3 vq train --data world --out image.vq\n"
          "  beit3 vq train --data photos --augment --codes 512 --steps 2000 --out photos.vq\n",
      .options = {{"--data", &o->data, "pictures: folder, tar or JSONL", "PATH", true},
                  {"--split", &o->split, "of data that has several (train)", "NAME"},
                  {"--out", &o->out, "the file to write", "FILE", true},
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

struct UseOptions {
  std::string file, data, split, out;
  std::vector<std::string> pictures;
  int64_t count = 12, samples = 2000;
  MachineOptions machine;
};

void add_use_options(Command& command, UseOptions& o) {
  command.options.insert(command.options.begin(),
                         {{"MODEL", &o.file, "image tokenizer of `beit3 vq train`", "", true},
                          {"PICTURE", &o.pictures, "files, instead of --data"},
                          {"--data", &o.data, "pictures: folder, tar or JSONL", "PATH"},
                          {"--split", &o.split, "train, heldout, …", "NAME"}});
  o.machine.add_to(command.options);
}

/// The pictures that the command line names.
Pictures pictures_of(const UseOptions& o, int64_t side) {
  check<UsageError>(o.pictures.empty() != o.data.empty(),
                    "give either pictures or --data; see: beit3 vq --help");
  return Pictures(
      o.data.empty() ? dataset_of(o.pictures) : open_dataset(o.data, {.split = o.split}), side,
      false);
}

int encode(const UseOptions& o) {
  const NoGrad silent;
  o.machine.apply();
  const Vqkd vq = load_vqkd(o.file);
  Pictures pictures = pictures_of(o, vq.config().image_size);
  const int64_t n = vq.config().patches();
  for (int64_t begin = 0; begin < pictures.size(); begin += 64) {
    const int64_t end = std::min(begin + 64, pictures.size());
    const Listed listed = pictures.listed(begin, end);
    if (listed.names.empty()) continue;
    const std::vector<int64_t> ids = vq.encode(listed.pixels).to_vector<int64_t>();
    for (size_t i = 0; i < listed.names.size(); ++i) {
      std::string line = "{\"image\": " + json_string(listed.names[i]) + ", \"codes\": [";
      for (size_t p = 0; p < static_cast<size_t>(n); ++p) {
        line += (p > 0 ? ", " : "") + std::to_string(ids[i * static_cast<size_t>(n) + p]);
      }
      print(line + "]}\n");
    }
  }
  return pictures.broken().count == 0 ? kDone : kBadInput;
}

int recon(const UseOptions& o) {
  const NoGrad silent;
  o.machine.apply();
  check<UsageError>(o.count > 0 && o.count <= 200, "--count is {}; expected 1 … 200", o.count);
  const Vqkd vq = load_vqkd(o.file);
  const int64_t side = vq.config().image_size;
  Pictures pictures = pictures_of(o, side);
  const Tensor images = pictures.listed(0, std::min(o.count, pictures.size())).pixels;
  check<IoError>(images.defined(), "no picture could be read");
  const int64_t n = images.size(0);
  const std::vector<float> rebuilt = vq.decode_pixels(vq.encode(images)).to_vector<float>();
  const std::vector<float> given = images.to_vector<float>();
  SheetRow top{"picture", {}, {}}, bottom{"from its codes", {}, {}};
  double error = 0;
  for (int64_t i = 0; i < n; ++i) {
    top.images.push_back(from_floats(given.data() + i * 3 * side * side, side, side));
    bottom.images.push_back(from_floats(rebuilt.data() + i * 3 * side * side, side, side));
  }
  for (size_t i = 0; i < given.size(); ++i) {
    const double d = static_cast<double>(given[i]) - static_cast<double>(rebuilt[i]);
    error += d * d;
  }
  write_png(o.out, contact_sheet({top, bottom}, {.title = "image tokenizer " + o.file}));
  print(format("mean squared error of pixels in [0, 1]: {}\n",
               fixed(error / static_cast<double>(given.size()), 5)));
  say("sheet: " + o.out);
  return kDone;
}

int usage(const UseOptions& o) {
  const NoGrad silent;
  o.machine.apply();
  const Vqkd vq = load_vqkd(o.file);
  Pictures pictures = pictures_of(o, vq.config().image_size);
  const CodeUsage u = usage_on(vq, pictures, o.samples > 0 ? o.samples : pictures.size());
  print(format("codes used: {} of {} ({} %)\nperplexity: {}\n", u.used, u.codes,
               fixed(100 * u.share(), 1), fixed(u.perplexity, 1)));
  return warn_if_collapsed(u);
}

Command use_command(std::string name, std::string summary, std::string notes,
                    int (*run)(const UseOptions&), std::vector<Option> (*extra)(UseOptions&)) {
  auto o = std::make_shared<UseOptions>();
  o->out = "image-tokenizer.png";
  Command command{.name = std::move(name),
                  .summary = std::move(summary),
                  .notes = std::move(notes),
                  .options = extra(*o),
                  .run = [o, run] { return run(*o); }};
  add_use_options(command, *o);
  return command;
}

}  // namespace

Command vq_command() {
  return {
      .name = "vq",
      .summary = "train and use image tokenizers",
      .children = {
          train_command(),
          use_command("encode", "print the codes of each picture, a JSON object a line",
                      "examples:\n  beit3 vq encode image.vq photo.jpg\n"
                      "  beit3 vq encode image.vq --data world --split heldout\n",
                      encode, [](UseOptions&) { return std::vector<Option>{}; }),
          use_command("recon", "a sheet of pictures beside what their codes keep",
                      "examples:\n  beit3 vq recon image.vq --data world --split heldout\n"
                      "  beit3 vq recon image.vq photo.jpg --out photo-recon.png\n",
                      recon,
                      [](UseOptions& o) {
                        return std::vector<Option>{
                            {"--out", &o.out, "the sheet to write (image-tokenizer.png)", "FILE"},
                            {"--count", &o.count, "pictures shown (12)"}};
                      }),
          use_command("usage", "how many codes are used; ends with 8 after a collapse",
                      "examples:\n  beit3 vq usage image.vq --data world --split heldout\n", usage,
                      [](UseOptions& o) {
                        return std::vector<Option>{
                            {"--samples", &o.samples, "pictures looked at; 0: all (2000)"}};
                      })}};
}

}  // namespace tessera::beit3::cli
