#include <memory>

#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/machine_options.h"
#include "beit3/cli/terminal.h"
#include "beit3/trust/parity.h"

namespace tessera::beit3::cli {
namespace {

struct ParityCommandOptions {
  std::string folder;
  std::vector<std::string> cases;
  MachineOptions machine;
  double tolerance = 2e-5;
  bool all = false;
};

std::string row(const Comparison& c) {
  return format("    {}{}  of {}{}\n", padded(c.name, 60), short_number(c.relative(), 3),
                short_number(c.scale, 3), c.ok() ? "" : "  DIFFERS");
}

int run(const ParityCommandOptions& o) {
  check<UsageError>(o.tolerance > 0, "--tolerance is {}; it must be positive", o.tolerance);
  o.machine.apply();
  int64_t passed = 0, failed = 0;
  for (const CaseReport& report :
       run_parity(o.folder, o.cases, {.dtype = DType::f32, .tolerance = o.tolerance})) {
    ++(report.ok() ? passed : failed);
    const Comparison* worst = report.worst();
    print(format("{} {}  {} tensors, worst {}{}\n", report.ok() ? "ok     " : "DIFFERS",
                 padded(report.name, 28), static_cast<int64_t>(report.tensors.size()),
                 worst != nullptr ? short_number(worst->relative(), 3) : "-",
                 worst != nullptr ? " (" + worst->name + ")" : ""));
    if (o.all) {
      for (const Comparison& c : report.tensors) print(row(c));
    } else if (const Comparison* first = report.first_difference()) {
      print("  the first that differs, in the order of execution:\n" + row(*first));
    }
  }
  print(format("{} equal, {} differ\n", passed, failed));
  return failed == 0 ? kDone : kDifference;
}

}  // namespace

Command parity_command() {
  auto o = std::make_shared<ParityCommandOptions>();
  Command command{
      .name = "run",
      .summary = "compare the model with recorded numbers of the official implementation",
      .notes =
          "The folder holds manifest.json, the weights and a file a case. Differences are\n"
          "shares of each tensor's largest value. Ends with 1 if a tensor differs.\n\n"
          "examples:\n"
          "  beit3 parity run recorded\n"
          "  beit3 parity run recorded 'encoder-*' --all\n",
      .options = {{"FOLDER", &o->folder, "recorded cases", "", true},
                  {"CASE", &o->cases, "names, * stands for anything; none: all"},
                  {"--tolerance", &o->tolerance, "largest difference (2e-5)"},
                  {"--all", &o->all, "list every tensor"}},
      .run = [o] { return run(*o); }};
  o->machine.add_to(command.options);
  return {.name = "parity",
          .summary = "compare with the official implementation",
          .children = {std::move(command)}};
}

}  // namespace tessera::beit3::cli
