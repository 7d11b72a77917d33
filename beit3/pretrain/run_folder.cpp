#include "beit3/pretrain/run_folder.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <set>
#include <vector>

namespace {
/// Thrown by the parser's own assertions, see below.
struct MalformedToml {};
[[noreturn]] void refuse_toml() { throw MalformedToml{}; }
}  // namespace

// Some malformed files ("[" and a line end) break what the parser asserts, and in a release build
// it would go on in the belief that all of it holds. So its assertions stay, and refuse the file.
#undef NDEBUG
#define TOML_ASSERT(condition) ((condition) ? void() : refuse_toml())
#include <toml++/toml.h>

#include "beit3/image/files.h"
#include "beit3/pretrain/toml_text_internal.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.toml";
constexpr const char* kTextModel = "text.model";
constexpr const char* kImageModel = "image.vq";
constexpr size_t kMaxConfigBytes = size_t{1} << 20;
constexpr size_t kMaxMetricsBytes = size_t{4} << 30;

std::string_view type_text(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "text";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::table:
      return "a section";
    default:
      return "a date or time";
  }
}

/// Sets the field of one name from one value, if their types fit.
struct TomlSetter final : RecipeVisitor {
  std::string_view wanted;
  const toml::node& node;
  bool found = false;
  std::vector<std::string> names;

  TomlSetter(std::string_view w, const toml::node& n) : wanted(w), node(n) {}

  bool is(std::string_view name) {
    names.emplace_back(name);
    if (name != wanted) return false;
    return found = true;
  }
  template <class T>
  T value(std::string_view expected) const {
    const auto got = node.value_exact<T>();
    check<ValueError>(got.has_value(), "{} is {}; expected {}", wanted, type_text(node), expected);
    return *got;
  }
  void operator()(std::string_view n, int64_t& v, std::string_view) override {
    if (is(n)) v = value<int64_t>("a whole number");
  }
  void operator()(std::string_view n, uint64_t& v, std::string_view) override {
    if (!is(n)) return;
    const int64_t got = value<int64_t>("a whole number");
    check<ValueError>(got >= 0, "{} is {}; expected 0 or more", wanted, got);
    v = static_cast<uint64_t>(got);
  }
  void operator()(std::string_view n, double& v, std::string_view) override {
    if (!is(n)) return;
    v = node.is_integer() ? static_cast<double>(value<int64_t>("a number"))
                          : value<double>("a number");
  }
  void operator()(std::string_view n, bool& v, std::string_view) override {
    if (is(n)) v = value<bool>("true or false");
  }
  void operator()(std::string_view n, std::string& v, std::string_view) override {
    if (is(n)) v = value<std::string>("text in quotes");
  }
};

void set_from(PretrainRecipe& recipe, const std::string& key, const toml::node& node) {
  TomlSetter setter(key, node);
  visit_fields(recipe, setter);
  if (setter.found) return;
  const std::string near = nearest_word(key, setter.names);
  fail<ValueError>("\"{}\" is no configuration key{}", key,
                   near.empty() ? std::string("; `beit3 config show` lists them")
                                : "; did you mean \"" + near + "\"?");
}

void set_all(PretrainRecipe& recipe, const toml::table& table, const std::string& prefix,
             const std::string& file) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    if (prefix.empty() && node.is_table()) {
      set_all(recipe, *node.as_table(), name + ".", file);
      continue;
    }
    try {
      set_from(recipe, name, node);
    } catch (const ValueError& e) {
      fail<ValueError>("{}:{}: {}", file, static_cast<int64_t>(key.source().begin.line), e.what());
    }
  }
}

PretrainRecipe parse_recipe(const std::string& text, const std::string& file,
                            PretrainRecipe recipe) {
  const std::string ascii = detail::ascii_toml(text, file);
  try {
    set_all(recipe, toml::parse(ascii, file), "", file);
  } catch (const toml::parse_error& e) {
    fail<ValueError>("{}:{}: {}", file, static_cast<int64_t>(e.source().begin.line),
                     e.description());
  } catch (const MalformedToml&) {
    fail<ValueError>("{}: this is no TOML; is a name missing behind \"[\"?", file);
  }
  return recipe;
}

void make_absolute(std::string& path) {
  if (!path.empty()) path = fs::absolute(path).lexically_normal().string();
}

/// The step of a checkpoint's name; nothing for other files.
std::optional<int64_t> step_of(const fs::path& file) {
  if (file.extension() != ".safetensors") return std::nullopt;
  const std::string stem = file.stem().string();
  int64_t step = 0;
  const auto result = std::from_chars(stem.data(), stem.data() + stem.size(), step);
  if (stem.size() < 8 || result.ec != std::errc() || result.ptr != stem.data() + stem.size()) {
    return std::nullopt;
  }
  return step;
}

/// All checkpoints, oldest first.
std::vector<std::pair<int64_t, fs::path>> checkpoints_in(const fs::path& folder) {
  std::vector<std::pair<int64_t, fs::path>> all;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (const auto step = step_of(entry.path())) all.emplace_back(*step, entry.path());
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::string numbered(int64_t step, std::string_view ending) {
  char name[32];
  std::snprintf(name, sizeof name, "%08lld", static_cast<long long>(step));
  return name + std::string(ending);
}

/// Adds a line to the end of a file. A line that an earlier end left torn is closed before.
void append_line(const fs::path& path, const std::string& line) {
  std::FILE* file = std::fopen(path.c_str(), "a+b");
  check<IoError>(file != nullptr, "{}: cannot be opened for writing: {}", path.string(),
                 std::strerror(errno));
  std::string bytes = line + "\n";
  if (std::fseek(file, -1, SEEK_END) == 0 && std::fgetc(file) != '\n') bytes = "\n" + bytes;
  std::fseek(file, 0, SEEK_END);
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  const bool closed = std::fclose(file) == 0;
  check<IoError>(written && closed, "{}: writing failed: {}", path.string(), std::strerror(errno));
}

/// The number behind "step": in a line of metrics; -1 if there is none, as in a torn line.
int64_t step_in(std::string_view line) {
  constexpr std::string_view kKey = "\"step\":";
  const size_t at = line.find(kKey);
  if (at == std::string_view::npos || line.back() != '}') return -1;
  size_t begin = at + kKey.size();
  while (begin < line.size() && line[begin] == ' ') ++begin;
  int64_t step = -1;
  std::from_chars(line.data() + begin, line.data() + line.size(), step);
  return step;
}

/// What a program that was killed while it wrote leaves beside the file it was to become.
bool is_left_over(const std::string& name) { return name.find(".tmp-") != std::string::npos; }

/// Refuses a folder with files that no run would have left: a mistyped path.
void check_free(const fs::path& path) {
  check<IoError>(!fs::exists(path / kConfig),
                 "{} holds a run already; go on with `beit3 resume {}`, or choose another folder",
                 path.string(), path.string());
  if (!fs::exists(path)) return;
  check<IoError>(fs::is_directory(path), "{} is a file; a run needs a folder", path.string());
  static const std::set<std::string> own{kTextModel, kImageModel,   "metrics.jsonl",
                                         "log.txt",  "checkpoints", "sheets"};
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    check<IoError>(own.contains(name) || is_left_over(name),
                   "{} holds other files ({}); choose another folder", path.string(), name);
  }
}

}  // namespace

PretrainRecipe read_recipe(const fs::path& toml, const PretrainRecipe& base) {
  return parse_recipe(read_text_file(toml.string(), kMaxConfigBytes), toml.string(), base);
}

RunFolder RunFolder::create(const fs::path& path, PretrainRecipe recipe) {
  check_free(path);
  check<ValueError>(!recipe.text_tokenizer.empty(),
                    "tokenizer.text is empty; make one with `beit3 tok train`");
  check<ValueError>(!recipe.image_tokenizer.empty(),
                    "tokenizer.image is empty; make one with `beit3 vq train`");
  // Everything that can fail without a trace comes first.
  const std::vector<uint8_t> text = read_file(recipe.text_tokenizer);
  const std::vector<uint8_t> image = read_file(recipe.image_tokenizer);
  for (std::string* source : {&recipe.data.images, &recipe.data.pairs, &recipe.data.texts,
                              &recipe.data.held_out, &recipe.data.held_out_texts}) {
    make_absolute(*source);  // so that the run goes on from any folder
  }
  recipe.text_tokenizer = kTextModel;
  recipe.image_tokenizer = kImageModel;
  const std::string config = to_toml(recipe);
  check<ValueError>(field_values(parse_recipe(config, kConfig, {})) == field_values(recipe),
                    "the configuration cannot be written so that it reads back the same");
  std::error_code error;
  fs::create_directories(path / "checkpoints", error);
  if (!error) fs::create_directories(path / "sheets", error);
  check<IoError>(!error, "{}: the folder cannot be made: {}", path.string(), error.message());
  write_file_atomically((path / kTextModel).string(), text);
  write_file_atomically((path / kImageModel).string(), image);
  write_file_atomically((path / kConfig).string(), config);  // last: now it is a run
  return open(path);
}

RunFolder RunFolder::open(const fs::path& path) {
  check<IoError>(fs::is_directory(path), "{}: there is no such folder", path.string());
  for (const char* name : {kConfig, kTextModel, kImageModel}) {
    check<IoError>(fs::is_regular_file(path / name), "{} is no run folder: {} is missing",
                   path.string(), name);
  }
  RunFolder run;
  run.path_ = path;
  run.recipe_ = read_recipe(path / kConfig);
  run.recipe_.text_tokenizer = (path / kTextModel).string();
  run.recipe_.image_tokenizer = (path / kImageModel).string();
  return run;
}

fs::path RunFolder::checkpoint_path(int64_t step) const {
  return path_ / "checkpoints" / numbered(step, ".safetensors");
}

fs::path RunFolder::sheet_path(int64_t step) const {
  return path_ / "sheets" / numbered(step, ".png");
}

std::vector<fs::path> RunFolder::checkpoints() const {
  std::vector<fs::path> all;
  for (auto& [step, file] : checkpoints_in(path_ / "checkpoints")) all.push_back(file);
  return all;
}

std::optional<fs::path> RunFolder::newest_checkpoint() const {
  const auto all = checkpoints();
  if (all.empty()) return std::nullopt;
  return all.back();
}

void RunFolder::prune(int64_t keep) const {
  std::error_code unreadable;
  std::vector<fs::path> left_over;
  for (const auto& entry : fs::directory_iterator(path_ / "checkpoints", unreadable)) {
    if (is_left_over(entry.path().filename().string())) left_over.push_back(entry.path());
  }
  for (const fs::path& file : left_over) fs::remove(file, unreadable);
  const auto all = checkpoints_in(path_ / "checkpoints");
  const int64_t drop = static_cast<int64_t>(all.size()) - std::max<int64_t>(keep, 1);
  for (int64_t i = 0; i < drop; ++i) {
    std::error_code ignored;  // a checkpoint too many does no harm
    fs::remove(all[static_cast<size_t>(i)].second, ignored);
  }
}

void RunFolder::add_metrics(const std::string& json_line) const {
  append_line(path_ / "metrics.jsonl", json_line);
}

void RunFolder::truncate_metrics(int64_t step) const {
  const fs::path path = path_ / "metrics.jsonl";
  if (!fs::exists(path)) return;
  const std::string text = read_text_file(path.string(), kMaxMetricsBytes);
  std::string kept;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line(text.data() + begin, end - begin);
    const int64_t of_line = line.empty() ? -1 : step_in(line);
    if (of_line >= 0 && of_line <= step) kept += std::string(line) + "\n";
    begin = end + 1;
  }
  if (kept != text) write_file_atomically(path.string(), kept);
}

void RunFolder::add_log(const std::string& line) const { append_line(path_ / "log.txt", line); }

}  // namespace tessera::beit3
