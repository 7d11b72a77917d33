#include <memory>

#include "autograd/gradcheck.h"
#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/gradcheck_cases.h"
#include "beit3/cli/machine_options.h"
#include "beit3/cli/terminal.h"
#include "beit3/pretrain/recipe.h"

namespace tessera::beit3::cli {
namespace {

struct CheckOptions {
  std::string op;
  int64_t order = 2;
  uint64_t seed = 1;
  MachineOptions machine;
};

int check_gradients(const CheckOptions& o) {
  check<UsageError>(o.order >= 1 && o.order <= 3, "--order is {}; expected 1, 2 or 3", o.order);
  o.machine.apply();
  int64_t passed = 0, failed = 0;
  std::vector<std::string> names;
  for (const GradcheckCase& c : gradcheck_cases(RandomKey{o.seed})) {
    const std::string op = c.name.substr(0, c.name.find(','));
    names.push_back(op);
    if (!o.op.empty() && op != o.op) continue;
    const GradcheckReport report = gradcheck(
        c.function, c.inputs, {.order = static_cast<int>(o.order), .key = RandomKey{o.seed}});
    ++(report.ok ? passed : failed);
    print(format("{} {}{} derivatives, worst {} of the tolerance\n",
                 report.ok ? "ok    " : "WRONG ", padded(c.name, 24), report.cases,
                 short_number(report.worst_error, 2)));
    if (!report.ok) print("       " + report.message + "\n");
  }
  if (passed + failed == 0) {
    const std::string near = nearest_word(o.op, names);
    fail<UsageError>("gradcheck has no op \"{}\"{}", o.op,
                     near.empty() ? "" : "; did you mean \"" + near + "\"?");
  }
  print(format("{} right, {} wrong\n", passed, failed));
  return failed == 0 ? kDone : kDifference;
}

}  // namespace

Command gradcheck_command() {
  auto o = std::make_shared<CheckOptions>();
  Command command{.name = "gradcheck",
                  .summary = "compare the derivatives of every op with differences, in f64",
                  .notes =
                      "Ends with 1 if a derivative is wrong.\n\n"
                      "examples:\n"
                      "  beit3 gradcheck\n"
                      "  beit3 gradcheck --op layer_norm --order 3\n",
                  .options = {{"--op", &o->op, "only this one", "NAME"},
                              {"--order", &o->order, "derivatives of orders 1 … N (2)"},
                              {"--seed", &o->seed, "decides the points (1)"}},
                  .run = [o] { return check_gradients(*o); }};
  o->machine.add_to(command.options);
  return command;
}

}  // namespace tessera::beit3::cli
