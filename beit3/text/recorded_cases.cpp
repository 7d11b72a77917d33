#include "beit3/text/recorded_cases.h"

#include <filesystem>
#include <fstream>
#include <utility>

#include "beit3/text/recorded_checks_internal.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

constexpr uintmax_t kMaxFileBytes = uintmax_t{1} << 30;

/// Calls use(case, line number) for every line of a file. Errors name the line.
template <class Use>
void for_each_case(const std::string& path, Use&& use) {
  std::error_code error;
  const uintmax_t bytes = std::filesystem::file_size(path, error);
  check<IoError>(!error, "tok compare: cannot open \"{}\": {}", path, error.message());
  check<IoError>(bytes <= kMaxFileBytes, "tok compare: \"{}\" has {} bytes; at most {} are read",
                 path, bytes, kMaxFileBytes);
  std::ifstream file(path, std::ios::binary);
  check<IoError>(file.good(), "tok compare: cannot open \"{}\"", path);
  int64_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.empty()) continue;
    try {
      use(parse_json(line), number);
    } catch (const Json::exception& problem) {
      fail<IoError>("{}:{}: no recorded case: {}", path, number, problem.what());
    } catch (const IoError& problem) {
      fail<IoError>("{}:{}: {}", path, number, problem.what());
    }
  }
  check<IoError>(number > 0, "tok compare: \"{}\" holds no cases", path);
}

std::string kind_of(const Json& recorded) {
  if (recorded.contains("kind")) return recorded.at("kind").get<std::string>();
  return recorded.contains("model_b64") ? "load" : "encode";
}

}  // namespace

RecordedCases::RecordedCases(const std::string& folder)
    : loader_([folder](const std::string& name) {
        const std::string path = (std::filesystem::path(folder) / (name + ".model")).string();
        return std::make_unique<const PieceCodec>(load_model(path), path);
      }) {}

const PieceCodec& RecordedCases::codec(const std::string& name) {
  // The name comes from a file and becomes part of a path.
  check<IoError>(!name.empty() && name.find('/') == std::string::npos && name[0] != '.',
                 "\"{}\" is no name of a model", name);
  std::unique_ptr<const PieceCodec>& codec = codecs_[name];
  if (!codec) codec = loader_(name);
  return *codec;
}

CaseFileReport RecordedCases::compare(const std::string& path) {
  using Check = std::string (*)(const PieceCodec&, const Json&);
  static const std::map<std::string, Check, std::less<>> with_model = {
      {"encode", encode_difference},
      {"nbest", nbest_difference},
      {"lattice", lattice_difference},
      {"xlmr", xlmr_difference}};
  std::map<std::pair<std::string, std::string>, CaseTally> tallies;
  CaseFileReport report;
  for_each_case(path, [&](const Json& recorded, int64_t line) {
    const std::string kind = kind_of(recorded);
    std::string model = "-", what;
    if (const auto found = with_model.find(kind); found != with_model.end()) {
      model = recorded.at("model").get<std::string>();
      const PieceCodec& pieces = codec(model);
      try {
        what = found->second(pieces, recorded);
      } catch (const Error& problem) {
        what = problem.what();
      }
    } else if (kind == "load") {
      what = load_difference(recorded);
    } else {
      check<IoError>(kind == "vqa_norm", "cases of kind \"{}\" are not known", kind);
      what = vqa_difference(recorded);
    }
    CaseTally& tally = tallies.try_emplace({kind, model}, CaseTally{kind, model}).first->second;
    ++tally.cases;
    if (what.empty()) {
      ++tally.equal;
    } else {
      const std::string input =
          kind == "load" ? recorded.at("name").get<std::string>() : input_of(recorded);
      report.differences.push_back({line, what, input});
    }
  });
  for (auto& [key, tally] : tallies) report.tallies.push_back(std::move(tally));
  return report;
}

}  // namespace tessera::beit3
