#include <algorithm>
#include <memory>

#include "autograd/gradcheck.h"
#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/gradcheck_cases.h"
#include "beit3/cli/gradcheck_model.h"
#include "beit3/cli/machine_options.h"
#include "beit3/cli/terminal.h"
#include "beit3/pretrain/recipe.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3::cli {
namespace {

struct CheckOptions {
  std::string op, module, preset, form;
  bool all = false, json = false;
  int64_t order = 2;
  uint64_t seed = 1;
  MachineOptions machine;

  bool ops() const {
    return all || !op.empty() || (module.empty() && preset.empty() && form.empty());
  }
  bool model() const { return all || op.empty(); }
};

/// One line of the report: an op, or a parameter of a model.
struct Line {
  std::string kind, name;  // kind: "op" or "parameter"
  int64_t cases = 0;
  double worst = 0;  // in tolerances
  std::string where;
  double analytic = 0, numeric = 0, tolerance = 0;
  bool ok = true;
};

/// The same elements, a stride of 2 apart.
Tensors strided(Tensors inputs) {
  for (Tensor& x : inputs) x = select(stack(Tensors{x, x}, -1), -1, 0);
  return inputs;
}

std::vector<Line> check_ops(const CheckOptions& o) {
  std::vector<Line> lines;
  std::vector<std::string> names;
  auto check_case = [&](const std::string& name, const TensorFunction& f, const Tensors& inputs) {
    const GradcheckReport r =
        gradcheck(f, inputs, {.order = static_cast<int>(o.order), .key = RandomKey{o.seed}});
    lines.push_back(
        {"op", name, r.cases, r.worst_error,
         format("{}, order {}, input {}, element {}", name, r.order, r.input, r.element),
         r.analytic, r.numeric, r.tolerance, r.ok});
  };
  for (const GradcheckCase& c : gradcheck_cases(RandomKey{o.seed})) {
    const std::string op = c.name.substr(0, c.name.find(','));
    names.push_back(op);
    if (!o.op.empty() && op != o.op) continue;
    check_case(c.name, c.function, c.inputs);
    if (o.all) check_case(c.name + ", strided", c.function, strided(c.inputs));
  }
  if (lines.empty()) {
    const std::string near = nearest_word(o.op, names);
    fail<UsageError>("gradcheck has no op \"{}\"{}", o.op,
                     near.empty() ? "" : "; did you mean \"" + near + "\"?");
  }
  return lines;
}

std::vector<Line> check_parameters(const CheckOptions& o) {
  const Form form = o.form.empty() ? Form::released : form_from(o.form);
  ModelCheckOptions options{.model = smallest_model(form), .module = o.module, .seed = o.seed};
  if (!o.preset.empty()) {
    options.model = model_preset(o.preset);
    options.model.drop_path = 0.1;
    if (!o.form.empty()) options.model.form = form;
  }
  LiveLine live;
  std::vector<Line> lines;
  for (const ParameterCheck& p : check_model(
           options, [&](int64_t done, int64_t total) { live.count("parameters", done, total); })) {
    lines.push_back({"parameter", p.name, p.cases, p.worst, p.where, p.analytic, p.numeric,
                     p.tolerance, p.ok()});
  }
  return lines;
}

std::string as_text(const std::vector<Line>& lines) {
  size_t width = 24;
  for (const Line& l : lines) width = std::max(width, l.name.size() + 2);
  std::string out;
  for (const Line& l : lines) {
    out += format("{} {}{} derivatives, worst {} of the tolerance\n", l.ok ? "ok    " : "WRONG ",
                  padded(l.name, width), l.cases, short_number(l.worst, 2));
    if (l.ok) continue;
    out += format("       {}: analytic {}, numeric {}, tolerance {}\n", l.where, l.analytic,
                  l.numeric, l.tolerance);
  }
  return out;
}

std::string as_json(const Line& l) {
  return format(
      "{\"kind\": {}, \"name\": {}, \"cases\": {}, \"worst\": {}, \"where\": {}, "
      "\"analytic\": {}, \"numeric\": {}, \"tolerance\": {}, \"ok\": {}}",
      json_string(l.kind), json_string(l.name), l.cases, json_number(l.worst), json_string(l.where),
      json_number(l.analytic), json_number(l.numeric), json_number(l.tolerance), l.ok);
}

int check_gradients(const CheckOptions& o) {
  check<UsageError>(o.order >= 1 && o.order <= 3, "--order is {}; expected 1, 2 or 3", o.order);
  check<UsageError>(
      o.op.empty() || (o.module.empty() && o.preset.empty() && o.form.empty()),
      "--op looks at one op, --module, --preset and --form at a model; ask for one of "
      "them");
  check<UsageError>(!o.all || (o.op.empty() && o.module.empty()),
                    "--all looks at everything; leave out --op and --module");
  o.machine.apply();
  std::vector<Line> lines;
  if (o.ops()) lines = check_ops(o);
  if (o.model()) {
    for (Line& line : check_parameters(o)) lines.push_back(std::move(line));
  }
  int64_t cases = 0, wrong = 0;
  const Line* worst = &lines.front();
  for (const Line& l : lines) {
    cases += l.cases;
    wrong += !l.ok;
    if (l.worst > worst->worst) worst = &l;
  }
  if (o.json) {
    std::string list;
    for (const Line& l : lines) list += (list.empty() ? "\n  " : ",\n  ") + as_json(l);
    print(format("{\"cases\": {}, \"wrong\": {}, \"worst\": {}, \"lines\": [{}\n]}\n", cases, wrong,
                 as_json(*worst), list));
  } else {
    print(as_text(lines));
    print(format("{} derivatives; worst {} of its tolerance: {}\n{} right, {} wrong\n", cases,
                 short_number(worst->worst, 2), worst->where,
                 static_cast<int64_t>(lines.size()) - wrong, wrong));
  }
  return wrong == 0 ? kDone : kDifference;
}

}  // namespace

Command gradcheck_command() {
  auto o = std::make_shared<CheckOptions>();
  Command command{
      .name = "gradcheck",
      .summary = "compare derivatives of ops and of a whole model with differences, in f64",
      .notes =
          "Without an option: every op, and every parameter of the smallest BEiT-3 that has all\n"
          "its parts, under the pretraining loss of an image, a pair and a text. Of a parameter,\n"
          "single elements and a direction through all of them are compared.\n"
          "Ends with 1 if a derivative is wrong.\n\n"
          "examples:\n"
          "  beit3 gradcheck\n"
          "  beit3 gradcheck --op layer_norm --order 3\n"
          "  beit3 gradcheck --module self_attn\n"
          "  beit3 gradcheck --form paper\n"
          "  beit3 gradcheck --preset nano --json\n",
      .options = {{"--op", &o->op, "only this op", "NAME"},
                  {"--module", &o->module, "only parameters whose name holds this", "NAME"},
                  {"--preset", &o->preset, "a model of this size instead of the smallest", "NAME"},
                  {"--form", &o->form, "a model of this form: released or paper", "WORD"},
                  {"--all", &o->all,
                   "ops, also on strided inputs, and the model, also with --preset"},
                  {"--order", &o->order, "derivatives of ops, of orders 1 … N (2)"},
                  {"--seed", &o->seed, "decides points, directions and parameters (1)"},
                  {"--json", &o->json, "as one JSON object"}},
      .run = [o] { return check_gradients(*o); }};
  o->machine.add_to(command.options);
  return command;
}

}  // namespace tessera::beit3::cli
