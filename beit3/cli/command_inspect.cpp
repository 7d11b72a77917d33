#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/run_course.h"
#include "beit3/cli/terminal.h"
#include "beit3/image/files.h"
#include "beit3/model/model.h"
#include "beit3/model/parameter_hash.h"
#include "beit3/model/parts.h"
#include "beit3/pretrain/run_folder.h"
#include "beit3/pretrain/trainer.h"
#include "nn/io/safetensors.h"
#include "tensor/ops/cast.h"

namespace tessera::beit3::cli {
namespace {

namespace fs = std::filesystem;

struct InspectOptions {
  std::string path, only, preset, form;
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

/// Says the hash of the model's parameters, and whether it is the one that the file records.
int print_hash(const std::string& hash, const nn::SafetensorsMetadata& metadata) {
  const auto recorded = metadata.find("parameter_hash");
  if (recorded == metadata.end()) {
    print(format("parameters {}\n", hash));
    return kDone;
  }
  const bool same = hash == recorded->second;
  print(format("parameters {}{}\n", hash,
               same ? ", as recorded" : ", NOT as recorded: they were changed after the training"));
  return same ? kDone : kDifference;
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
  ParameterHash hash;
  for (const auto& e : entries) {
    bytes += e.end_bytes - e.begin_bytes;
    elements += numel(e.shape);
    const bool hashed = belongs_to_model(e.name);
    const bool listed = e.name.find(o.only) != std::string::npos;
    const Tensor tensor = hashed || (listed && o.stats) ? file.load(e) : Tensor();
    if (hashed) hash.add(e.name, tensor);
    if (!listed) continue;
    ++shown;
    std::string line = padded(e.name, widest) + "  " + padded(to_string(e.dtype), 4) + "  " +
                       padded(to_string(e.shape), 16);
    if (o.stats) line += "  " + stats_of(tensor);
    while (line.back() == ' ') line.pop_back();
    print(line + "\n");
  }
  print(format("{} tensors, {} elements, {}\n", static_cast<int64_t>(entries.size()), elements,
               bytes_text(static_cast<double>(bytes))));
  if (!o.only.empty()) say(format("{} shown, with \"{}\" in their names", shown, o.only));
  return print_hash(hash.digits(), file.metadata());
}

/// A model of these sizes, as shapes alone: giant would take 8 GB.
int inspect_preset(const InspectOptions& o) {
  ModelConfig config = model_preset(o.preset);
  if (!o.form.empty()) config.form = form_from(o.form);
  validate(config);
  const PretrainModel model(config, {.shape_only = true});
  if (!o.only.empty()) {
    for (const nn::Field& field : model.list_fields()) {
      if (field.name.find(o.only) != std::string::npos) {
        print(format("{}  {}\n", field.name, field.shape()));
      }
    }
    return kDone;
  }
  print(
      format("{}, {} form: {} wide, {} layers, {} heads, feed-forward {}, {} pixels in patches of "
             "{}\n",
             config.name, to_string(config.form), config.width, config.layers, config.heads,
             config.ffn, config.image_size, config.patch));
  for (const PartCount& part : count_parts(model)) {
    const std::string count = std::to_string(part.parameters);
    print(padded(part.part, 20) + std::string(14 - count.size(), ' ') + count + "  in " +
          std::to_string(part.tensors) + " tensors\n");
  }
  const int64_t all = model.parameter_count();
  print(format("{} parameters: {} in f32, and {} with gradients and AdamW's two moments\n", all,
               bytes_text(4.0 * static_cast<double>(all)),
               bytes_text(16.0 * static_cast<double>(all))));
  return kDone;
}

int inspect_run(const InspectOptions& o) {
  const RunFolder run = RunFolder::open(o.path);
  const PretrainRecipe& r = run.recipe();
  print(format(
      "model        {}, {} form ({} wide, {} layers, {} heads, {} pixels in patches of {})\n",
      r.model.name, to_string(r.model.form), r.model.width, r.model.layers, r.model.heads,
      r.model.image_size, r.model.patch));
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
  check<UsageError>(o.path.empty() != o.preset.empty(),
                    "inspect looks at a file or run folder, or at --preset NAME; give one of them");
  check<UsageError>(o.form.empty() || !o.preset.empty(),
                    "--form goes with --preset; a file knows its form");
  if (!o.preset.empty()) return inspect_preset(o);
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
          .summary = "what is in a checkpoint, an image tokenizer, a run folder or a preset",
          .notes =
              "Of a file also the hash of all parameters; ends with 1 if a checkpoint records\n"
              "another. Of a preset what its parameters are spent on, without making them.\n\n"
              "examples:\n"
              "  beit3 inspect run\n"
              "  beit3 inspect run/checkpoints/00001600.safetensors --only attn --stats\n"
              "  beit3 inspect image.vq\n"
              "  beit3 inspect --preset giant\n"
              "  beit3 inspect --preset base --form paper --only layers.11.\n",
          .options = {{"PATH", &o->path, "a safetensors file or a run folder"},
                      {"--preset", &o->preset, "sizes of a model instead: nano … giant", "NAME"},
                      {"--form", &o->form, "released or paper, instead of the preset's", "WORD"},
                      {"--only", &o->only, "tensors with this in their names", "TEXT"},
                      {"--stats", &o->stats, "mean, deviation and extremes of each tensor"},
                      {"--metadata", &o->metadata, "metadata in full"}},
          .run = [o] { return inspect(*o); }};
}

}  // namespace tessera::beit3::cli
