// Steps of AdamW with rates by depth, on a model with a head for questions: losses, norms of the
// gradients, and the parameters afterwards.
#include <algorithm>
#include <cmath>
#include <map>

#include "autograd/autograd.h"
#include "beit3/trust/padded_internal.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/optim/adamw.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {
namespace {

ModelConfig without_final_norm(ModelConfig config) {
  config.normalize_output = false;
  return config;
}

/// What the recorded steps train: a pooler of the class token, and a head of two layers.
struct QuestionModel : nn::Module {
  Beit3 beit3;
  nn::LayerNorm pooler_norm, head_norm;
  nn::Linear pooler, head_in, head_out;

  QuestionModel(const ModelConfig& config, int64_t answers, const TensorOptions& t)
      : beit3(without_final_norm(config), {.dtype = t.dtype, .device = t.device}),
        pooler_norm(config.width, {.tensor = t}),
        head_norm(2 * config.width, {.tensor = t}),
        pooler(config.width, config.width, {}, {.tensor = t}),
        head_in(config.width, 2 * config.width, {}, {.tensor = t}),
        head_out(2 * config.width, answers, {}, {.tensor = t}) {}

  /// (B, answers)
  Tensor logits(const PackedInput& input) const {
    std::vector<int64_t> first;
    for (int64_t i = 0; i < input.layout.image_count(); ++i) {
      first.push_back(input.layout.image_begin(i));
    }
    const Tensor pooled = tanh(pooler(pooler_norm(beit3(input, {}, &first))));
    return head_out(gelu(head_norm(head_in(pooled))));
  }

  void fields(nn::FieldVisitor& v) override {
    v("beit3", beit3);
    v("pooler.norm", pooler_norm);
    v("pooler.dense", pooler);
    v("head.0", head_in);
    v("head.1", head_norm);
    v("head.3", head_out);
  }
};

/// Rate and decay of every published name.
using Rules = std::map<std::string, std::pair<double, double>>;

/// As (names, 2).
Tensor table_of(const Rules& rules) {
  std::vector<double> values;
  for (const auto& [name, rule] : rules) values.insert(values.end(), {rule.first, rule.second});
  return from_data(values, {static_cast<int64_t>(rules.size()), 2});
}

Rules rules_of(const std::vector<nn::ParamGroup>& groups) {
  Rules rules;
  for (const nn::ParamGroup& group : groups) {
    for (const nn::NamedParameter& p : group.parameters) {
      for (const nn::Field& f : p.slices) rules[f.name] = {group.lr_scale, group.weight_decay};
      if (p.slices.empty()) rules[p.name] = {group.lr_scale, group.weight_decay};
    }
  }
  return rules;
}

void compare_groups(RecordedCase& c, const Rules& ours) {
  Rules recorded;
  for (const Json& group : field<Json>(c.entry(), "groups")) {
    for (const std::string& name : field<std::vector<std::string>>(group, "params")) {
      recorded[name] = {field<double>(group, "lr_scale"), field<double>(group, "weight_decay")};
    }
  }
  c.compare_with("rate and decay of each parameter", table_of(recorded), table_of(ours));
}

/// How far rounding of the recorded gradients alone may have moved each element.
///
/// AdamW divides an element's gradient by its own size, so one that is small beside the tensor's
/// largest moves by the rate times a ratio that rounding decides. If every gradient of a tensor is
/// e away from the truth, both the mean m and the root of the mean square sqrt(v) are at most e
/// away too, and their ratio, about 1 in size, at most 2 e / sqrt(v). e is the folder's tolerance
/// of the largest sqrt(v); the ratio's sign is as much as can be lost.
class RoundingOfSteps {
 public:
  explicit RoundingOfSteps(double tolerance) : tolerance_(tolerance) {}

  void add_step(const nn::AdamW& optimizer, const Rules& rules, double lr) {
    const nn::StateDict state = optimizer.state();
    for (const auto& [name, rule] : rules) {
      const std::vector<double> v = state.at("v." + name).to_vector<double>();
      const double largest = *std::max_element(v.begin(), v.end());
      std::vector<double>& moved = moved_[name];
      moved.resize(v.size(), 0.0);
      for (size_t i = 0; i < v.size(); ++i) {
        if (v[i] == 0) continue;  // no gradient, and none recorded
        moved[i] += lr * rule.first * std::min(2.0, 2 * tolerance_ * std::sqrt(largest / v[i]));
      }
    }
  }

  /// `ours`, nearer to `recorded` by at most that distance in every element.
  Tensor without_rounding(const std::string& name, const Tensor& ours,
                          const Tensor& recorded) const {
    std::vector<double> values = ours.to_vector<double>();
    const std::vector<double> theirs = recorded.to_vector<double>(), &moved = moved_.at(name);
    check<ShapeError>(values.size() == theirs.size(), "parity: {} is {} here, but {} in the record",
                      name, ours.shape(), recorded.shape());
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] -= std::clamp(values[i] - theirs[i], -moved[i], moved[i]);
    }
    return from_data(values, ours.shape());
  }

 private:
  double tolerance_;
  std::map<std::string, std::vector<double>> moved_;
};

}  // namespace

void run_optimizer_case(RecordedCase& c) {
  const Json& entry = c.entry();
  const nn::StateDict weights = c.folder().load(field<std::string>(entry, "start") + ".weights");
  const nn::StateDict batch = c.folder().load(field<std::string>(entry, "model"));
  const nn::StateDict after = c.folder().load(field<std::string>(entry, "end") + ".weights");
  auto given = [&](const char* key) -> const Tensor& {
    const auto found = batch.find(key);
    check<IoError>(found != batch.end(), "parity: the batch holds no tensor \"{}\"", key);
    return found->second;
  };
  const Tensor target = given("input.target").to(c.dtype());
  QuestionModel model(recorded_model(c.folder(), weights), target.size(1), c.tensor_options());
  nn::load_state(model, weights);
  const PaddedInput padded = padded_input(model.beit3.config, given("input.image").to(c.dtype()),
                                          {}, given("input.text"), given("input.padding_mask"));

  const Json options = field<Json>(entry, "opt");
  const std::vector<double> betas = field<std::vector<double>>(options, "opt_betas");
  check<IoError>(betas.size() == 2, "parity: the manifest has {} betas; expected 2", betas.size());
  nn::AdamW optimizer(nn::make_param_groups(model.named_parameters(),
                                            {.weight_decay = field<double>(options, "weight_decay"),
                                             .no_decay = {"beit3.encoder.embed_positions.A.weight",
                                                          "beit3.vision_embed.cls_token"},
                                             .layer_decay = field<double>(entry, "layer_decay"),
                                             .layers = model.beit3.config.layers}),
                      {.lr = field<double>(options, "lr"),
                       .beta1 = betas[0],
                       .beta2 = betas[1],
                       .eps = field<double>(options, "opt_eps"),
                       .max_grad_norm = field<double>(entry, "max_norm"),
                       .missing_grad = nn::MissingGrad::skip});
  const Rules rules = rules_of(optimizer.groups());
  compare_groups(c, rules);
  RoundingOfSteps rounding(c.folder().tolerance(false, false));

  int64_t step = 0;
  for (const Json& recorded : field<Json>(entry, "steps")) {
    // Binary cross entropy of logits: summed over answers, mean over questions.
    const Tensor logits = model.logits(padded.input);
    const Tensor loss =
        sum(softplus(logits) - logits * target) / static_cast<double>(target.size(0));
    backward(loss);
    const double lr = field<double>(recorded, "lr");
    optimizer.set_lr(lr);
    const Tensor norm = optimizer.step().grad_norm;
    optimizer.zero_grad();
    rounding.add_step(optimizer, rules, lr);
    const std::string title = "step " + std::to_string(++step) + " ";
    // Recorded in f32, written in decimals; after the first step, of parameters that are rounded.
    const auto decimal = [&](const char* key) {
      return scalar(field<double>(recorded, key)).to(DType::f32);
    };
    if (step == 1) {
      c.compare_with(title + "loss", decimal("loss"), loss);
      c.compare_with(title + "grad_norm", decimal("grad_norm"), norm);
    } else {
      c.compare_trained(title + "loss", decimal("loss"), loss);
      c.compare_trained(title + "grad_norm", decimal("grad_norm"), norm);
    }
  }
  size_t compared = 0;
  for (const nn::Field& f : model.list_fields()) {
    const auto found = after.find(f.name);
    if (found == after.end()) continue;
    c.compare_trained("after " + f.name, found->second,
                      rounding.without_rounding(f.name, f.view(), found->second));
    ++compared;
  }
  check<IoError>(compared == after.size(), "parity: {} of {} recorded parameters are not here",
                 after.size() - compared, after.size());
}

}  // namespace tessera::beit3
