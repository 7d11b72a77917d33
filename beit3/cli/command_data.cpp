#include <algorithm>
#include <array>
#include <memory>

#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/interrupt.h"
#include "beit3/cli/terminal.h"
#include "beit3/data/check.h"
#include "beit3/data/world.h"
#include "beit3/image/draw.h"
#include "beit3/image/encode.h"
#include "tensor/base/parallel.h"

namespace tessera::beit3::cli {
namespace {

/// Thrown from a progress call to leave a long piece of work.
struct Stopped {};

struct SynthOptions {
  std::string folder;
  WorldOptions world;
  int64_t threads = 0;
  double pairs = 0.3;
  bool no_instances = false, again = false;
};

/// The usual shares with that of pairs set, and the others in proportion.
std::array<double, 4> shares_with(double pairs) {
  std::array<double, 4> shares = SceneOptions().shares;
  double& usual = shares[static_cast<size_t>(SceneKind::pair)];
  if (pairs == usual) return shares;
  check_share("--pairs", pairs);
  for (double& share : shares) share *= (1 - pairs) / (1 - usual);
  usual = pairs;
  return shares;
}

int synth(SynthOptions& o) {
  o.world.scene.shares = shares_with(o.pairs);
  check_share("--smaller-first", o.world.scene.smaller_first);
  o.world.threads = static_cast<int>(o.threads > 0 ? o.threads : thread_count());
  o.world.instances = !o.no_instances;
  if (!o.again && is_world_of(o.folder, o.world)) {
    say(o.folder + " holds this very world already; --again draws it anew");
    return kDone;
  }
  const InterruptGuard interrupt;
  try {
    LiveLine line;
    o.world.progress = [&](int64_t done, int64_t total) {
      if (interrupt.interrupted()) throw Stopped{};
      line.count("drawing", done, total);
    };
    write_world(o.folder, o.world);
  } catch (const Stopped&) {
    say("stopped; " + o.folder + " is as it was");
    return kInterrupted;
  }
  say(format("{}: {} pictures with captions to learn from, {} held out, {} texts", o.folder,
             o.world.train, o.world.held_out, o.world.texts));
  return kDone;
}

Command synth_command() {
  auto o = std::make_shared<SynthOptions>();
  SceneOptions& scene = o->world.scene;
  return {
      .name = "synth",
      .summary = "draw a world: pictures of coloured shapes with exact captions",
      .notes =
          "The same flags give the same bytes. A world that is there already is kept.\n\n"
          "examples:\n"
          "  beit3 data synth world\n"
          "  beit3 data synth small --train 500 --heldout 100 --texts 500 --seed 7\n",
      .options = {{"DIR", &o->folder, "the folder to write", "", true},
                  {"--train", &o->world.train, "pictures to learn from (12000)"},
                  {"--heldout", &o->world.held_out, "others, to evaluate on (2000)"},
                  {"--texts", &o->world.texts, "captions of scenes never drawn (12000)"},
                  {"--seed", &scene.seed, "decides every scene (0)"},
                  {"--side", &scene.side, "side of a picture in pixels (64)"},
                  {"--jitter", &scene.colour_jitter, "largest change of an object's colour (8)"},
                  {"--noise", &scene.noise, "standard deviation of the noise, 0 … 255 (2)"},
                  {"--gradient", &scene.gradient, "largest change across the background (14)"},
                  {"--rotation", &scene.rotation, "largest turn of a shape in degrees (0)"},
                  {"--pairs", &o->pairs,
                   "share of scenes that are two shapes and how they stand, 0 … 1 (0.3)"},
                  {"--smaller-first", &scene.smaller_first,
                   "how often captions to learn from that tell no sizes name the smaller of two "
                   "first, whatever chance would do, 0 … 1 (0)"},
                  {"--no-instances", &o->no_instances, "leave out the files of boxes and masks"},
                  {"--again", &o->again, "draw even if the world is there"},
                  {"--threads", &o->threads, "threads that draw; 0: one a core"}},
      .run = [o] { return synth(*o); }};
}

struct LookOptions {
  std::string path, split, image_root, out = "sheet.png";
  int64_t threads = 0, first = 0, count = 24;
};

DataSet open(const LookOptions& o) {
  return open_dataset(o.path, {.split = o.split, .image_root = o.image_root});
}

void add_open_options(std::vector<Option>& options, LookOptions& o) {
  options.push_back({"PATH", &o.path, "folder, .jsonl, .tsv, .tar or text file", "", true});
  options.push_back({"--split", &o.split, "train, heldout, …", "NAME"});
  options.push_back({"--image-root", &o.image_root, "where a JSONL file's pictures are", "PATH"});
}

int check_data(const LookOptions& o) {
  const DataSet data = open(o);
  const InterruptGuard interrupt;
  DataReport report;
  try {
    LiveLine line;
    CheckOptions options;
    options.threads = static_cast<int>(o.threads > 0 ? o.threads : thread_count());
    options.progress = [&](int64_t done, int64_t total) {
      if (interrupt.interrupted()) throw Stopped{};
      line.count("reading", done, total);
    };
    report = check_dataset(data, options);
  } catch (const Stopped&) {
    say("stopped");
    return kInterrupted;
  }
  print(to_text(report, data));
  return report.broken > 0 ? kDifference : kDone;
}

Command check_command() {
  auto o = std::make_shared<LookOptions>();
  Command command{.name = "check",
                  .summary = "read every picture and text of a data set once, and report",
                  .notes =
                      "Ends with 1 if a picture is broken.\n\n"
                      "examples:\n"
                      "  beit3 data check world\n"
                      "  beit3 data check captions.jsonl --image-root photos.tar\n",
                  .run = [o] { return check_data(*o); }};
  add_open_options(command.options, *o);
  command.options.push_back({"--threads", &o->threads, "threads that read; 0: one a core"});
  return command;
}

int show_data(const LookOptions& o) {
  const DataSet data = open(o);
  check<UsageError>(o.first >= 0 && o.first < data.size(),
                    "--first is {}, but {} has records 0 … {}", o.first, o.path, data.size() - 1);
  check<UsageError>(o.count > 0 && o.count <= 400, "--count is {}; expected 1 … 400", o.count);
  const int64_t end = std::min(data.size(), o.first + o.count);
  std::vector<SheetRow> rows;
  for (int64_t i = o.first; i < end; ++i) {
    const Record& record = data.records[static_cast<size_t>(i)];
    std::string line = std::to_string(i);
    if (!record.image_path.empty()) line += "\t" + data.image_name(i);
    if (record.label >= 0) {
      const bool named = record.label < static_cast<int64_t>(data.classes.size());
      line += "\t" + (named ? data.classes[static_cast<size_t>(record.label)]
                            : "label " + std::to_string(record.label));
    }
    if (!record.text.empty()) line += "\t" + record.text;
    print(line + "\n");
    if (record.image_path.empty()) continue;
    if (rows.empty() || rows.back().images.size() == 6) rows.push_back({std::to_string(i), {}, {}});
    try {
      rows.back().images.push_back(data.image(i));
      rows.back().captions.push_back(record.text);
    } catch (const IoError& e) {
      say(std::string("beit3: ") + e.what());
      rows.back().images.emplace_back();
      rows.back().captions.emplace_back("broken");
    }
  }
  if (rows.empty()) {
    say("no pictures: no sheet");
    return kDone;
  }
  write_png(o.out, contact_sheet(rows, {.title = o.path}));
  say("sheet: " + o.out);
  return kDone;
}

Command show_command() {
  auto o = std::make_shared<LookOptions>();
  Command command{.name = "show",
                  .summary = "list records, and put their pictures on a sheet",
                  .notes =
                      "examples:\n"
                      "  beit3 data show world\n"
                      "  beit3 data show world --split heldout --first 100 --out heldout.png\n",
                  .run = [o] { return show_data(*o); }};
  add_open_options(command.options, *o);
  command.options.push_back({"--first", &o->first, "record to begin with (0)"});
  command.options.push_back({"--count", &o->count, "records (24)"});
  command.options.push_back({"--out", &o->out, "the sheet (sheet.png)", "FILE.png"});
  return command;
}

}  // namespace

Command data_command() {
  return {.name = "data",
          .summary = "draw, check and look at data",
          .children = {synth_command(), check_command(), show_command()}};
}

}  // namespace tessera::beit3::cli
