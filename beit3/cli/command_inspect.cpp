#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/run_course.h"
#include "beit3/cli/terminal.h"
#include "beit3/image/files.h"
#include "beit3/pretrain/run_folder.h"
#include "nn/io/safetensors.h"
#include "tensor/ops/cast.h"

namespace tessera::beit3::cli {
namespace {

namespace fs = std::filesystem;

struct InspectOptions {
  std::string path, only;
  bool stats = false, metadata = false;
};

/// Mean, standard deviation and extremes of a tensor.
std::string stats_of(const Tensor& tensor) {
  if (tensor.numel() == 0) return "empty";
  const std::vector<double> values = tensor.to(DType::f64).to_vector<double>();
  double sum = 0, low = values.front(), high = values.front();
  int64_t broken = 0;
  for (const double v : values) {
    sum += v;
    low = std::min(low, v);
    high = std::max(high, v);
    broken += !std::isfinite(v);
  }
  const auto n = static_cast<double>(values.size());
  double squares = 0;
  for (const double v : values) squares += (v - sum / n) * (v - sum / n);
  std::string text = "mean " + short_number(sum / n) + ", std " +
                     short_number(std::sqrt(squares / n)) + ", " + short_number(low) + " … " +
                     short_number(high);
  if (broken > 0) text += format(", {} NOT FINITE", broken);
  return text;
}

/// Long values, such as a whole configuration, are cut to their first line unless asked for.
void print_metadata(const nn::SafetensorsMetadata& metadata, bool whole) {
  for (const auto& [key, value] : metadata) {
    const size_t end = value.find('\n');
    const bool cut = !whole && (value.size() > 80 || end != std::string::npos);
    print(padded(key, 24) + " " +
          (cut ? value.substr(0, std::min<size_t>(end, 60)) + " … (--metadata shows all)" : value) +
          "\n");
  }
}

int inspect_file(const InspectOptions& o) {
  const nn::SafetensorsReader file(o.path);
  print_metadata(file.metadata(), o.metadata);
  std::vector<nn::SafetensorsEntry> entries = file.entries();
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  size_t widest = 0, bytes = 0;
  int64_t elements = 0, shown = 0;
  for (const auto& e : entries) widest = std::max(widest, e.name.size());
  for (const auto& e : entries) {
    bytes += e.end_bytes - e.begin_bytes;
    elements += numel(e.shape);
    if (e.name.find(o.only) == std::string::npos) continue;
    ++shown;
    std::string line = padded(e.name, widest) + "  " + padded(to_string(e.dtype), 4) + "  " +
                       padded(to_string(e.shape), 16);
    if (o.stats) line += "  " + stats_of(file.load(e));
    while (line.back() == ' ') line.pop_back();
    print(line + "\n");
  }
  print(format("{} tensors, {} elements, {}\n", static_cast<int64_t>(entries.size()), elements,
               bytes_text(static_cast<double>(bytes))));
  if (!o.only.empty()) say(format("{} shown, with \"{}\" in their names", shown, o.only));
  return kDone;
}

int inspect_run(const InspectOptions& o) {
  const RunFolder run = RunFolder::open(o.path);
  const PretrainRecipe& r = run.recipe();
  print(format("model        {} ({} wide, {} layers, {} heads, {} pixels in patches of {})\n",
               r.model.name, r.model.width, r.model.layers, r.model.heads, r.model.image_size,
               r.model.patch));
  print(format("a step       {} images, {} texts, {} pairs; {} steps in all; seed {}\n", r.images,
               r.texts, r.pairs, r.steps, r.seed));
  for (const auto& [name, path] :
       {std::pair("images", r.data.images), std::pair("pairs", r.data.pairs),
        std::pair("texts", r.data.texts), std::pair("held out", r.data.held_out)}) {
    if (!path.empty()) print(padded(name, 13) + path + "\n");
  }
  const auto checkpoints = run.checkpoints();
  if (checkpoints.empty()) print("checkpoints  none yet\n");
  for (const fs::path& path : checkpoints) {
    print(padded(path == checkpoints.front() ? "checkpoints" : "", 13) + path.string() + "  " +
          bytes_text(static_cast<double>(fs::file_size(path))) + "\n");
  }
  const fs::path metrics = run.path() / "metrics.jsonl";
  if (fs::exists(metrics)) print(course_tables(read_text_file(metrics.string())));
  return kDone;
}

int inspect(const InspectOptions& o) {
  check<IoError>(fs::exists(o.path), "{}: there is no such file or folder", o.path);
  if (fs::is_directory(o.path)) return inspect_run(o);
  check<UsageError>(fs::path(o.path).extension() != ".model",
                    "{} looks like a text tokenizer; see: beit3 tok info {}", o.path, o.path);
  return inspect_file(o);
}

}  // namespace

Command inspect_command() {
  auto o = std::make_shared<InspectOptions>();
  return {.name = "inspect",
          .summary = "what is in a checkpoint, an image tokenizer or a run folder",
          .notes =
              "examples:\n"
              "  beit3 inspect run\n"
              "  beit3 inspect run/checkpoints/00001600.safetensors --only attn --stats\n"
              "  beit3 inspect image.vq\n",
          .options = {{"PATH", &o->path, "a safetensors file or a run folder", "", true},
                      {"--only", &o->only, "tensors with this in their names", "TEXT"},
                      {"--stats", &o->stats, "mean, deviation and extremes of each tensor"},
                      {"--metadata", &o->metadata, "metadata in full"}},
          .run = [o] { return inspect(*o); }};
}

}  // namespace tessera::beit3::cli
