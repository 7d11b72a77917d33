#include <algorithm>
#include <memory>
#include <utility>

#include "autograd/grad_mode.h"
#include "beit3/cli/command_vq_train.h"
#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/machine_options.h"
#include "beit3/cli/terminal.h"
#include "beit3/cli/vq_pictures.h"
#include "beit3/image/draw.h"
#include "beit3/image/encode.h"

namespace tessera::beit3::cli {
namespace {

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
VqPictures pictures_of(const UseOptions& o, int64_t side) {
  check<UsageError>(o.pictures.empty() != o.data.empty(),
                    "give either pictures or --data; see: beit3 vq --help");
  return VqPictures(
      o.data.empty() ? dataset_of(o.pictures) : open_dataset(o.data, {.split = o.split}), side,
      false);
}

int encode(const UseOptions& o) {
  const NoGrad silent;
  o.machine.apply();
  const Vqkd vq = load_vqkd(o.file);
  VqPictures pictures = pictures_of(o, vq.config().image_size);
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
  VqPictures pictures = pictures_of(o, side);
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
  VqPictures pictures = pictures_of(o, vq.config().image_size);
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
          vq_train_command(),
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
