#include <charconv>
#include <filesystem>

#include "beit3/data/manifest_internal.h"
#include "beit3/image/decode.h"
#include "beit3/image/files.h"
#include "beit3/json/json.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFileBytes = size_t{4} << 30;
constexpr size_t kMaxLineBytes = size_t{16} << 20;
constexpr size_t kMaxList = 1 << 20;

/// Calls use(line, number) for every line that is not blank, without its line end; numbers start at
/// 1. A byte-order mark at the beginning is dropped.
template <class Use>
void for_each_line(const std::string& path, const Use& use) {
  const std::string text = read_text_file(path, kMaxFileBytes);
  std::string_view rest = text;
  if (rest.substr(0, 3) == "\xEF\xBB\xBF") rest.remove_prefix(3);
  for (int64_t number = 1; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    check<IoError>(line.size() <= kMaxLineBytes,
                   "{}:{}: the line has {} bytes; at most {} are read", path, number, line.size(),
                   kMaxLineBytes);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    use(line, number);
  }
}

void add_record(DataSet& set, Record record, const OpenOptions& options) {
  check<IoError>(set.size() < options.max_records, "open_dataset: \"{}\" has more than {} records",
                 set.path, options.max_records);
  record.id = set.size();
  set.records.push_back(std::move(record));
}

/// What a value is, for messages.
std::string_view kind_of(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "a list";
    case Json::value_t::string:
      return "text";
    case Json::value_t::boolean:
      return "true or false";
    default:
      return "a number";
  }
}

/// A whole number that fits: the parser keeps those above 2^63 - 1 as unsigned ones.
bool is_whole(const Json& value) {
  return value.is_number_integer() &&
         !(value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX});
}

/// The fields of one JSON line.
class Fields {
 public:
  Fields(const std::string& path, int64_t line, std::string_view text) : path_(path), line_(line) {
    try {
      json_ = try_parse_json(text);
    } catch (const IoError& error) {
      fail<IoError>("{}:{}: {}", path, line, error.what());
    }
    constexpr std::string_view kExpected =
        R"(expected an object a line, like {"image": "a.png", "text": "a cat"})";
    check<IoError>(!json_.is_discarded(), "{}:{}: the line is no JSON; {}", path, line, kExpected);
    check<IoError>(json_.is_object(), "{}:{}: the line is {}; {}", path, line, kind_of(json_),
                   kExpected);
  }

  /// The first of these names that is there and not null.
  const Json* find(std::initializer_list<const char*> names) const {
    for (const char* name : names) {
      const auto found = json_.find(name);
      if (found != json_.end() && !found->is_null()) return &*found;
    }
    return nullptr;
  }

  std::string text(std::initializer_list<const char*> names) const {
    const Json* value = find(names);
    if (value == nullptr) return {};
    check<IoError>(value->is_string(), "{}:{}: \"{}\" is {}; expected text", path_, line_,
                   *names.begin(), kind_of(*value));
    return value->get<std::string>();
  }

  int64_t integer(const char* name) const {
    const Json* value = find({name});
    if (value == nullptr) return -1;
    check<IoError>(is_whole(*value), "{}:{}: \"{}\" is {}; expected a whole number below 2^63",
                   path_, line_, name, value->is_number() ? json_text(*value) : kind_of(*value));
    return value->get<int64_t>();
  }

  template <class T>
  std::vector<T> list(const Json* value, const char* name) const {
    std::vector<T> out;
    if (value == nullptr) return out;
    check<IoError>(value->is_array(), "{}:{}: \"{}\" is {}; expected a list of numbers", path_,
                   line_, name, kind_of(*value));
    check<IoError>(value->size() <= kMaxList, "{}:{}: \"{}\" has {} numbers; at most {} are read",
                   path_, line_, name, value->size(), kMaxList);
    for (const Json& item : *value) {
      const bool fits = std::is_integral_v<T> ? is_whole(item) : item.is_number();
      check<IoError>(fits, "{}:{}: \"{}\" holds {}; expected {}", path_, line_, name,
                     item.is_number() ? json_text(item) : kind_of(item),
                     std::is_integral_v<T> ? "whole numbers below 2^63" : "numbers");
      out.push_back(item.get<T>());
    }
    return out;
  }

 private:
  const std::string& path_;
  int64_t line_;
  Json json_;
};

Record parse_record(const Fields& fields) {
  Record record;
  record.image_path = fields.text({"image", "image_path", "file_name"});
  record.second_image = fields.text({"image2_path"});
  if (const Json* segment = fields.find({"text_segment"}); segment && segment->is_array()) {
    record.text_ids = fields.list<int64_t>(segment, "text_segment");
  } else {
    record.text = fields.text({"text", "caption", "text_segment"});
  }
  if (const Json* label = fields.find({"label"}); label && !label->is_array()) {
    // NLVR2 writes True and False as strings in some copies.
    if (label->is_string() && (*label == "True" || *label == "False")) {
      record.label = *label == "True" ? 1 : 0;
    } else if (label->is_boolean()) {
      record.label = label->get<bool>() ? 1 : 0;
    } else {
      record.label = fields.integer("label");
    }
  }
  record.image_id = fields.integer("image_id");
  record.question_id = fields.integer("qid");
  record.labels = fields.list<int64_t>(fields.find({"labels"}), "labels");
  record.scores = fields.list<double>(fields.find({"scores"}), "scores");
  record.question = fields.text({"question"});
  record.answer = fields.text({"answer"});
  record.split = fields.text({"split"});
  return record;
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

/// Finds out where the pictures lie by looking for the first one, and makes all names openable.
void resolve_images(DataSet& set, const OpenOptions& options) {
  const Record* first = nullptr;
  for (const Record& record : set.records) {
    if (!record.image_path.empty()) {
      first = &record;
      break;
    }
  }
  if (first == nullptr) return;
  const std::string name = first->image_path;
  const fs::path file(set.path), folder = file.parent_path();
  std::vector<fs::path> candidates;
  if (!options.image_root.empty()) {
    check<IoError>(fs::exists(options.image_root), "open_dataset: image_root \"{}\" does not exist",
                   options.image_root);
    candidates = {options.image_root};
  } else {
    candidates = {folder, folder / "images", folder / "images.tar",
                  folder / (file.stem().string() + ".tar")};
  }
  fs::path root = candidates.front();
  for (const fs::path& candidate : candidates) {
    if (candidate.extension() == ".tar" && is_file(candidate)) {
      auto archive = std::make_shared<TarIndex>(candidate.string());
      if (!archive->contains(name) && options.image_root.empty()) continue;
      set.archive = std::move(archive);
      return;  // names are members as they stand
    }
    if (is_file(candidate / name)) {
      root = candidate;
      break;
    }
  }
  const auto resolve = [&](std::string& path) {
    if (!path.empty() && fs::path(path).is_relative()) path = (root / path).string();
  };
  for (Record& record : set.records) {
    resolve(record.image_path);
    resolve(record.second_image);
  }
}

}  // namespace

DataSet open_jsonl(const std::string& path, const OpenOptions& options) {
  DataSet set{DataKind::jsonl, path, {}, {}, nullptr};
  for_each_line(path, [&](std::string_view line, int64_t number) {
    Record record = parse_record(Fields(path, number, line));
    check<IoError>(!record.image_path.empty() || record.has_text(),
                   "{}:{}: neither a picture (\"image\") nor a text (\"text\") is named", path,
                   number);
    const bool wanted =
        options.split.empty() || record.split.empty() || record.split == options.split;
    if (wanted) add_record(set, std::move(record), options);
  });
  resolve_images(set, options);
  return set;
}

DataSet open_tsv(const std::string& path, const OpenOptions& options) {
  DataSet set{DataKind::tsv, path, {}, {}, nullptr};
  for_each_line(path, [&](std::string_view line, int64_t number) {
    const size_t tab = line.find('\t');
    check<IoError>(tab != std::string_view::npos && tab + 1 < line.size(),
                   "{}:{}: expected an id, a tab and a caption", path, number);
    Record record;
    const std::string_view id = line.substr(0, tab);
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), record.image_id);
    if (error != std::errc() || end != id.data() + id.size()) {
      check<IoError>(is_image_name(std::string(id)),
                     "{}:{}: \"{}\" is neither a number nor the name of a picture (.jpg, .jpeg, "
                     ".png)",
                     path, number, id);
      record.image_id = -1;
      record.image_path = id;
    }
    record.text = line.substr(tab + 1);
    add_record(set, std::move(record), options);
  });
  resolve_images(set, options);
  return set;
}

DataSet open_text_lines(const std::string& path, const OpenOptions& options) {
  DataSet set{DataKind::text_lines, path, {}, {}, nullptr};
  for_each_line(path, [&](std::string_view line, int64_t number) {
    check<IoError>(line.find('\0') == std::string_view::npos,
                   "{}:{}: a zero byte; expected a text file, UTF-8", path, number);
    Record record;
    record.text = line;
    add_record(set, std::move(record), options);
  });
  return set;
}

}  // namespace tessera::beit3
