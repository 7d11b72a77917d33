#include "beit3/trust/parity.h"

#include <string_view>

#include "beit3/trust/recorded_internal.h"

namespace tessera::beit3 {
namespace {

using Runner = void (*)(RecordedCase&);

/// By what the manifest calls the function.
constexpr std::pair<std::string_view, Runner> kFunctions[] = {
    {"forward", run_vqkd_forward_case},  {"train", run_vqkd_training_case},
    {"resized", run_vqkd_resized_case},  {"tokens", run_vqkd_tokens_case},
    {"preprocess", run_preprocess_case}, {"quantizer", run_quantizer_case},
    {"kmeans", run_k_means_case},        {"kmeans_init", run_k_means_start_case},
    {"with_teacher", run_teacher_case},
};

/// By name, where the manifest names no function; "*" stands for anything.
constexpr std::pair<std::string_view, Runner> kNames[] = {
    {"*.pth", run_checkpoint_case},
    {"encoder-*", run_encoder_case},
    {"optimizer", run_optimizer_case},
    {"cosine_scheduler", run_schedule_case},
};

/// What has to exist before the others can run.
constexpr std::pair<std::string_view, std::string_view> kLater[] = {
    {"classification", "needs the task image classification"},
    {"resize-*", "needs the task image classification"},
    {"vqa", "needs the task visual question answering"},
    {"nlvr2", "needs the task visual reasoning"},
    {"retrieval", "needs the task retrieval"},
    {"captioning*", "needs the task captioning"},
};

/// "*" stands for any text.
bool matches(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] != '*') {
    return !text.empty() && pattern[0] == text[0] && matches(pattern.substr(1), text.substr(1));
  }
  for (size_t i = 0; i <= text.size(); ++i) {
    if (matches(pattern.substr(1), text.substr(i))) return true;
  }
  return false;
}

Runner runner_of(const std::string& name, const Json& entry) {
  if (entry.contains("function")) {
    // Both trainings are called "train"; the one with files of batches is the pretraining.
    if (entry.contains("inputs")) return run_pretrain_case;
    const std::string function = field<std::string>(entry, "function");
    for (const auto& [known, runner] : kFunctions) {
      if (function == known) return runner;
    }
    return nullptr;
  }
  for (const auto& [pattern, runner] : kNames) {
    if (matches(pattern, name)) return runner;
  }
  return nullptr;
}

CaseReport run_case(const RecordedFolder& folder, const std::string& name, const Json& entry,
                    const ParityOptions& options) {
  if (const Runner runner = runner_of(name, entry)) {
    RecordedCase c(folder, name, entry, options);
    runner(c);
    return c.finish();
  }
  CaseReport report{.name = name, .unsupported = "no program knows this kind of case"};
  for (const auto& [pattern, needed] : kLater) {
    if (matches(pattern, name)) report.unsupported = needed;
  }
  return report;
}

/// A case is also known by the name of the file that its result is in.
bool is_called(std::string_view pattern, const std::string& name, const Json& entry) {
  return matches(pattern, name) ||
         (entry.contains("end") && matches(pattern, field<std::string>(entry, "end")));
}

/// All cases with what the manifest says of each: those it lists, then the checkpoints.
std::vector<std::pair<std::string, Json>> all_cases(const RecordedFolder& folder) {
  std::vector<std::pair<std::string, Json>> all;
  for (const auto& [name, entry] : folder.cases().items()) all.emplace_back(name, entry);
  for (const std::string& name : folder.checkpoints()) all.emplace_back(name, Json::object());
  return all;
}

}  // namespace

std::vector<std::string> parity_cases(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& [name, entry] : all_cases(RecordedFolder(folder))) names.push_back(name);
  return names;
}

std::vector<CaseReport> run_parity(const std::filesystem::path& path,
                                   const std::vector<std::string>& cases,
                                   const ParityOptions& options) {
  const DType dtype = options.dtype.value_or(DType::f32);
  check<ValueError>(dtype == DType::f32 || dtype == DType::f64,
                    "parity: dtype {} is not supported; use f32 or f64", dtype);
  const RecordedFolder folder(path);
  const std::vector<std::pair<std::string, Json>> known = all_cases(folder);
  std::vector<CaseReport> reports;
  for (const std::string& pattern : cases.empty() ? std::vector<std::string>{"*"} : cases) {
    bool any = false;
    for (const auto& [name, entry] : known) {
      if (!is_called(pattern, name, entry)) continue;
      any = true;
      reports.push_back(run_case(folder, name, entry, options));
    }
    check<ValueError>(any, "parity: {} has no case that matches \"{}\"", path.string(), pattern);
  }
  return reports;
}

}  // namespace tessera::beit3
