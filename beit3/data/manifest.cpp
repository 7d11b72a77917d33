#include "beit3/data/manifest.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "beit3/data/manifest_internal.h"
#include "beit3/image/decode.h"
#include "beit3/image/files.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxTextBytes = 1 << 20;  // of a .txt beside a picture

bool hidden(const std::string& name) { return name.empty() || name[0] == '.'; }

std::string stem_of(const std::string& name) { return name.substr(0, name.rfind('.')); }

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

struct Listing {
  std::vector<std::string> files, folders;  // sorted names
};

Listing list_folder(const fs::path& folder, const OpenOptions& options) {
  Listing listing;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::string name = entry.path().filename().string();
    if (hidden(name)) continue;
    auto& list = entry.is_directory() ? listing.folders : listing.files;
    list.push_back(std::move(name));
    check<IoError>(static_cast<int64_t>(list.size()) <= 2 * options.max_records + 1000,
                   "open_dataset: \"{}\" has too many entries", folder.string());
  }
  std::sort(listing.files.begin(), listing.files.end());
  std::sort(listing.folders.begin(), listing.folders.end());
  return listing;
}

void add_record(DataSet& set, Record record, const OpenOptions& options) {
  check<IoError>(set.size() < options.max_records, "open_dataset: \"{}\" has more than {} records",
                 set.path, options.max_records);
  record.id = set.size();
  set.records.push_back(std::move(record));
}

/// Adds the pictures directly in a folder.
void add_images(DataSet& set, const fs::path& folder, const Listing& listing, int64_t label,
                const OpenOptions& options) {
  for (const std::string& name : listing.files) {
    if (!is_image_name(name)) continue;
    Record record;
    record.image_path = (folder / name).string();
    record.label = label;
    const std::string text_name = stem_of(name) + ".txt";
    if (std::binary_search(listing.files.begin(), listing.files.end(), text_name)) {
      record.text = trimmed(read_text_file((folder / text_name).string(), kMaxTextBytes));
    }
    add_record(set, std::move(record), options);
  }
}

std::string only_file(const Listing& listing, const std::string& ending) {
  std::string found;
  for (const std::string& name : listing.files) {
    if (fs::path(name).extension() != ending) continue;
    if (!found.empty()) return {};
    found = name;
  }
  return found;
}

DataSet open_tar(const std::string& path, const OpenOptions& options) {
  DataSet set{DataKind::image_tar, path, {}, {}, std::make_shared<TarIndex>(path)};
  std::set<std::string> parents;
  bool all_have_parents = true;
  for (const auto& [name, member] : set.archive->members()) {
    if (!is_image_name(name) || hidden(fs::path(name).filename().string())) continue;
    const std::string parent = fs::path(name).parent_path().string();
    parents.insert(parent);
    all_have_parents = all_have_parents && !parent.empty();
  }
  // A single folder around everything is packing, not a class.
  const bool classes = all_have_parents && parents.size() > 1;
  if (classes) set.classes.assign(parents.begin(), parents.end());
  for (const auto& [name, member] : set.archive->members()) {
    if (!is_image_name(name) || hidden(fs::path(name).filename().string())) continue;
    Record record;
    record.image_path = name;
    if (classes) {
      const auto at = parents.find(fs::path(name).parent_path().string());
      record.label = std::distance(parents.begin(), at);
    }
    const std::string text_name = stem_of(name) + ".txt";
    if (set.archive->contains(text_name)) {
      const auto bytes = set.archive->read(text_name, kMaxTextBytes);
      record.text = trimmed(std::string(bytes.begin(), bytes.end()));
    }
    add_record(set, std::move(record), options);
  }
  return set;
}

DataSet open_file(const std::string& path, const OpenOptions& options);

DataSet open_folder(const std::string& path, const OpenOptions& options) {
  const fs::path folder(path);
  const Listing listing = list_folder(folder, options);
  const auto has = [&](const std::string& name) {
    return std::binary_search(listing.files.begin(), listing.files.end(), name);
  };
  const std::string split = options.split.empty() ? "train" : options.split;
  if (has(split + ".jsonl")) return open_file((folder / (split + ".jsonl")).string(), options);
  if (const std::string name = only_file(listing, ".jsonl"); !name.empty()) {
    return open_file((folder / name).string(), options);
  }
  // Not its pictures, which are those of all splits.
  for (const char* known : {"train", "heldout", "val", "valid", "validation", "dev", "test"}) {
    check<IoError>(!has(std::string(known) + ".jsonl"),
                   "open_dataset: folder \"{}\" has no {}.jsonl, but the split {}.jsonl; name one "
                   "that it has, or the file itself",
                   path, split, known);
  }
  DataSet set{DataKind::image_folder, path, {}, {}, nullptr};
  add_images(set, folder, listing, -1, options);
  if (!set.records.empty()) return set;
  set.kind = DataKind::class_folders;
  for (const std::string& name : listing.folders) {
    const Listing inside = list_folder(folder / name, options);
    const int64_t before = set.size();
    add_images(set, folder / name, inside, static_cast<int64_t>(set.classes.size()), options);
    if (set.size() > before) set.classes.push_back(name);
  }
  if (!set.records.empty()) return set;
  if (has(split + ".tar")) return open_file((folder / (split + ".tar")).string(), options);
  if (const std::string name = only_file(listing, ".tar"); !name.empty()) {
    return open_file((folder / name).string(), options);
  }
  for (const char* ending : {".tsv", ".txt"}) {
    if (has(split + ending)) return open_file((folder / (split + ending)).string(), options);
    if (const std::string name = only_file(listing, ending); !name.empty()) {
      return open_file((folder / name).string(), options);
    }
  }
  fail<IoError>(
      "open_dataset: folder \"{}\" has no {}.jsonl, no pictures (.jpg, .jpeg, .png), no subfolders "
      "with pictures, and neither {}.tar nor {}.tsv nor {}.txt",
      path, split, split, split, split);
}

DataSet open_file(const std::string& path, const OpenOptions& options) {
  const std::string ending = fs::path(path).extension().string();
  if (ending == ".jsonl" || ending == ".json") return open_jsonl(path, options);
  if (ending == ".tar") return open_tar(path, options);
  if (ending == ".tsv") return open_tsv(path, options);
  check<IoError>(ending != ".gz" && ending != ".zip" && !is_image_name(path),
                 "open_dataset: \"{}\" is not a data set; expected a folder, .jsonl, .tsv, .tar or "
                 "a text file",
                 path);
  return open_text_lines(path, options);
}

}  // namespace

std::string_view to_string(DataKind kind) {
  switch (kind) {
    case DataKind::image_folder:
      return "folder of pictures";
    case DataKind::class_folders:
      return "class folders";
    case DataKind::image_tar:
      return "tar of pictures";
    case DataKind::jsonl:
      return "JSON lines";
    case DataKind::text_lines:
      return "text lines";
    case DataKind::tsv:
      return "TSV captions";
  }
  return "unknown";
}

int64_t DataSet::images() const {
  return std::count_if(records.begin(), records.end(),
                       [](const Record& r) { return !r.image_path.empty(); });
}

int64_t DataSet::texts() const {
  return std::count_if(records.begin(), records.end(),
                       [](const Record& r) { return r.has_text(); });
}

int64_t DataSet::pairs() const {
  return std::count_if(records.begin(), records.end(),
                       [](const Record& r) { return !r.image_path.empty() && r.has_text(); });
}

std::string DataSet::image_name(int64_t record) const {
  check<IndexError>(record >= 0 && record < size(), "data set \"{}\": record {} of {}", path,
                    record, size());
  const std::string& name = records[static_cast<size_t>(record)].image_path;
  return archive ? archive->path() + ": " + name : name;
}

std::vector<uint8_t> DataSet::image_bytes(int64_t record) const {
  const std::string name = image_name(record);  // checks the index
  const std::string& path_of_image = records[static_cast<size_t>(record)].image_path;
  check<IoError>(!path_of_image.empty(), "data set \"{}\": record {} has no picture", path, record);
  return archive ? archive->read(path_of_image, kMaxImageFileBytes)
                 : read_file(name, kMaxImageFileBytes);
}

Image DataSet::image(int64_t record) const {
  return decode_image(image_bytes(record), image_name(record));
}

DataSet open_dataset(const std::string& path, const OpenOptions& options) {
  try {
    const fs::file_status status = fs::status(path);
    check<IoError>(fs::exists(status), "open_dataset: there is no \"{}\"", path);
    DataSet set = fs::is_directory(status) ? open_folder(path, options) : open_file(path, options);
    check<IoError>(!set.records.empty(), "open_dataset: \"{}\" holds no record{}", set.path,
                   options.split.empty() ? "" : " of split \"" + options.split + "\"");
    return set;
  } catch (const fs::filesystem_error& error) {
    fail<IoError>("open_dataset: {}", error.what());
  }
}

}  // namespace tessera::beit3
