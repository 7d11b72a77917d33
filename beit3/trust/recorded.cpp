#include <algorithm>
#include <cctype>

#include "beit3/image/files.h"
#include "beit3/trust/recorded_internal.h"
#include "nn/io/safetensors.h"

namespace tessera::beit3 {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostManifestBytes = size_t{1} << 24;
constexpr int64_t kLargestSize = 1024;

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '.' || c == '-' || c == '_';
         });
}

}  // namespace

RecordedFolder::RecordedFolder(fs::path path) : path_(std::move(path)) {
  const fs::path file = path_ / "manifest.json";
  std::error_code ignored;
  check<IoError>(fs::exists(file, ignored),
                 "parity: {} is not there; the folder needs a manifest.json", file.string());
  manifest_ = try_parse_json(read_text_file(file.string(), kMostManifestBytes));
  check<IoError>(manifest_.is_object() && manifest_.contains("config") &&
                     manifest_.contains("cases") && manifest_["cases"].is_object(),
                 "parity: {} is no manifest: expected an object with \"config\" and \"cases\"",
                 file.string());
}

int64_t RecordedFolder::size(const std::string& key) const {
  const int64_t value = field<int64_t>(manifest_.at("config"), key);
  check<IoError>(value >= 1 && value <= kLargestSize,
                 "parity: \"{}\" of the configuration is {}; expected 1 … {}", key, value,
                 kLargestSize);
  return value;
}

nn::StateDict RecordedFolder::load(const std::string& stem) const {
  check<IoError>(is_plain_name(stem), "parity: \"{}\" is no name of a file in the folder", stem);
  return nn::load_safetensors((path_ / (stem + ".safetensors")).string()).tensors;
}

bool RecordedFolder::has_file(const std::string& name) const {
  return is_plain_name(name) && fs::is_regular_file(path_ / name);
}

std::vector<std::string> RecordedFolder::checkpoints() const {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(path_)) {
    if (entry.path().extension() == ".pth") names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

double RecordedFolder::tolerance(bool both_f64, bool trained) const {
  // Of folders that state none: two computations in f32, each 1e-5 of the largest value away from
  // the truth, and five times that once steps of an optimizer have passed it on.
  if (!manifest_.contains("tolerance")) return both_f64 ? 1e-9 : trained ? 1e-4 : 2e-5;
  const Json& stated = manifest_["tolerance"];
  if (both_f64) return field<double>(stated, "float64");
  return field<double>(stated, trained ? "float32_after_training" : "float32");
}

RecordedCase::RecordedCase(const RecordedFolder& folder, std::string name, const Json& entry,
                           const ParityOptions& options)
    : folder_(folder), entry_(entry), options_(options) {
  report_.name = std::move(name);
  const bool recorded_f64 =
      entry.contains("dtype") && field<std::string>(entry, "dtype") == "float64";
  report_.dtype = options.dtype.value_or(recorded_f64 ? DType::f64 : DType::f32);
  if (folder.has_file(report_.name + ".safetensors")) record_ = folder.load(report_.name);
}

const Tensor& RecordedCase::at(const std::string& key) const {
  const auto found = record_.find(key);
  check<IoError>(found != record_.end(), "parity: case {} holds no tensor \"{}\"", report_.name,
                 key);
  seen_.insert(key);
  return found->second;
}

std::vector<std::string> RecordedCase::names(const std::string& prefix) const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : record_) {
    if (name.starts_with(prefix)) names.push_back(name);
  }
  return names;
}

void RecordedCase::add(const std::string& title, const Tensor& recorded, const Tensor& ours,
                       double tolerance, double least_scale) {
  report_.tensors.push_back(beit3::compare(title, ours.detach(), recorded, tolerance));
  Comparison& c = report_.tensors.back();
  c.scale = std::max(c.scale, least_scale);
}

void RecordedCase::compare_as(const std::string& title, const std::string& key,
                              const Tensor& ours) {
  if (has(key)) compare_with(title, at(key), ours);
}

void RecordedCase::compare_with(const std::string& title, const Tensor& recorded,
                                const Tensor& ours, double least_scale) {
  if (!is_floating(recorded.dtype())) return compare_equal(title, recorded, ours);
  const bool both_f64 = recorded.dtype() == DType::f64 && dtype() == DType::f64;
  const double stated = folder_.tolerance(both_f64, false);
  add(title, recorded, ours, options_.tolerance.value_or(stated), least_scale);
}

void RecordedCase::compare_trained(const std::string& title, const Tensor& recorded,
                                   const Tensor& ours) {
  const bool both_f64 = recorded.dtype() == DType::f64 && dtype() == DType::f64;
  const double stated = folder_.tolerance(both_f64, true);
  add(title, recorded, ours, options_.tolerance.value_or(stated), 0);
}

void RecordedCase::compare_equal(const std::string& title, const Tensor& recorded,
                                 const Tensor& ours) {
  add(title, recorded, ours, 0, 0);
}

CaseReport RecordedCase::finish() {
  for (const auto& [name, tensor] : record_) {
    if (!name.starts_with("input.") && !seen_.contains(name)) {
      report_.not_compared.push_back(name);
    }
  }
  return std::move(report_);
}

}  // namespace tessera::beit3
