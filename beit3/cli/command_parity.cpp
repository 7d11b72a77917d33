#include <memory>

#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/machine_options.h"
#include "beit3/cli/terminal.h"
#include "beit3/trust/parity.h"

namespace tessera::beit3::cli {
namespace {

struct ParityCommandOptions {
  std::string folder, dtype;
  std::vector<std::string> cases;
  MachineOptions machine;
  double tolerance = 0;
  bool all = false, json = false;
};

ParityOptions options_of(const ParityCommandOptions& o) {
  ParityOptions options;
  check<UsageError>(o.tolerance >= 0, "--tolerance is {}; it must be positive", o.tolerance);
  if (o.tolerance > 0) options.tolerance = o.tolerance;
  check<UsageError>(o.dtype.empty() || o.dtype == "f32" || o.dtype == "f64",
                    "--dtype is \"{}\"; expected f32 or f64", o.dtype);
  if (!o.dtype.empty()) options.dtype = o.dtype == "f32" ? DType::f32 : DType::f64;
  return options;
}

int run(const ParityCommandOptions& o) {
  const ParityOptions options = options_of(o);
  o.machine.apply();
  const std::vector<CaseReport> reports = run_parity(o.folder, o.cases, options);
  int64_t equal = 0, different = 0, unsupported = 0;
  for (const CaseReport& report : reports) {
    ++(!report.supported() ? unsupported : report.ok() ? equal : different);
  }
  if (o.json) {
    print(to_json(reports) + "\n");
  } else {
    print(to_table(reports, o.all));
    print(format("{} equal, {} differ, {} not supported yet\n", equal, different, unsupported));
  }
  // Nothing compared is no success.
  return different == 0 && equal > 0 ? kDone : kDifference;
}

}  // namespace

Command parity_command() {
  auto o = std::make_shared<ParityCommandOptions>();
  Command command{
      .name = "run",
      .summary = "compare the models with recorded numbers of the official implementations",
      .notes =
          "The folder holds manifest.json, the weights and a file a case. Tensors are listed in\n"
          "the order in which they are computed: the first that differs is where to look.\n"
          "relative: share of the tensor's largest value, which is what is allowed so much of.\n"
          "ulps: floats between two elements, at most. Ends with 1 if a tensor differs, or if\n"
          "none could be compared.\n\n"
          "examples:\n"
          "  beit3 parity run recorded\n"
          "  beit3 parity run recorded 'encoder-*' --dtype f64 --all\n",
      .options = {{"FOLDER", &o->folder, "recorded cases", "", true},
                  {"CASE", &o->cases, "names, * stands for anything; none: all"},
                  {"--dtype", &o->dtype, "of the computation, f32 or f64 (as recorded)", "DTYPE"},
                  {"--tolerance", &o->tolerance, "largest relative difference (the folder's)"},
                  {"--all", &o->all, "list every tensor"},
                  {"--json", &o->json, "one JSON object"}},
      .run = [o] { return run(*o); }};
  o->machine.add_to(command.options);
  return {.name = "parity",
          .summary = "compare with the official implementation",
          .children = {std::move(command)}};
}

}  // namespace tessera::beit3::cli
