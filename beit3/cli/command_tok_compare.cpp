#include <filesystem>
#include <memory>

#include "beit3/cli/command_tok.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/terminal.h"
#include "beit3/text/recorded_cases.h"

namespace tessera::beit3::cli {
namespace {

struct CompareOptions {
  std::vector<std::string> files;
  std::string models;
  int64_t first = 10;
};

std::string row(std::string_view file, std::string_view kind, std::string_view model,
                std::string_view cases, std::string_view equal) {
  return padded(file, 26) + padded(kind, 10) + padded(model, 14) + padded(cases, 8) +
         std::string(equal) + "\n";
}

int compare(const CompareOptions& o) {
  check<UsageError>(o.first >= 0, "--first is {}; expected 0 or more", o.first);
  RecordedCases recorded(o.models);
  int64_t cases = 0, differing = 0;
  print(row("file", "kind", "model", "cases", "equal"));
  for (const std::string& path : o.files) {
    const std::string file = std::filesystem::path(path).filename().string();
    const CaseFileReport report = recorded.compare(path);
    for (const CaseTally& tally : report.tallies) {
      print(row(file, tally.kind, tally.model, std::to_string(tally.cases),
                std::to_string(tally.equal)));
      cases += tally.cases;
    }
    int64_t shown = 0;
    for (const CaseDifference& difference : report.differences) {
      if (shown++ == o.first) break;
      print(format("  line {}: {}\n    of {}\n", difference.line, difference.what,
                   json_string(difference.input)));
    }
    differing += static_cast<int64_t>(report.differences.size());
  }
  print(format("{} equal, {} differ\n", cases - differing, differing));
  return differing == 0 ? kDone : kDifference;
}

}  // namespace

Command tok_compare_command() {
  auto o = std::make_shared<CompareOptions>();
  return {
      .name = "compare",
      .summary = "compare the tokenizer with recorded results of SentencePiece",
      .notes =
          "A case is a line of JSON: a text with its pieces, ids, positions and decoded text, its\n"
          "n best segmentations, their probabilities, its ids for BEiT-3, or a model file that is\n"
          "to be loaded or refused. beit3/text/recorded_cases.h has the fields. Ends with 1 if\n"
          "anything differs.\n\n"
          "examples:\n"
          "  beit3 tok compare cases.jsonl --models recorded\n"
          "  beit3 tok compare recorded/*_cases.jsonl --models recorded --first 3\n",
      .options = {{"FILE", &o->files, "recorded cases", "", true},
                  {"--models", &o->models, "the folder of the models that they name", "DIR", true},
                  {"--first", &o->first, "differences to show of each file (10)"}},
      .run = [o] { return compare(*o); }};
}

}  // namespace tessera::beit3::cli
