// Checkpoints that PyTorch wrote: the parameters of a model, which are in a safetensors file too;
// and the state of a training, which the same steps have to reach here.
#include <algorithm>

#include "beit3/trust/vqkd_training_internal.h"
#include "nn/io/pth.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {
namespace {

/// Every tensor of "model" has to have the bits of its twin in safetensors. What a loader drops has
/// none.
void compare_with_twin(RecordedCase& c, const nn::StateDict& model, const nn::StateDict& twin) {
  for (const auto& [name, recorded] : twin) {
    const auto found = model.find(name);
    if (found == model.end()) {
      c.miss(name);
    } else {
      c.compare_equal(name, recorded, found->second);
    }
  }
  const Json& manifest = c.folder().manifest();
  std::vector<std::string> dropped;
  if (manifest.contains("weights")) {
    dropped = field<std::vector<std::string>>(manifest["weights"], "dropped_by_loaders");
  }
  for (const auto& [name, tensor] : model) {
    const bool known = std::find(dropped.begin(), dropped.end(), name) != dropped.end();
    if (!twin.contains(name) && !known) c.miss(name);
  }
}

double number(const nn::PthFile& file, const std::string& path) {
  const auto found = file.numbers.find(path);
  check<IoError>(found != file.numbers.end(), "parity: the checkpoint holds no number \"{}\"",
                 path);
  return found->second;
}

/// Names of the parameters as the optimizer counts them: group by group.
std::vector<std::string> counted_names(const RecordedFolder& folder) {
  std::vector<std::string> names;
  for (const Json& group : field<Json>(folder.manifest(), "optimizer_groups")) {
    for (const std::string& name : field<std::vector<std::string>>(group, "params")) {
      names.push_back(name);
    }
  }
  return names;
}

/// Parameters and both moments after steps from the recorded batches of the case "train.f64".
void compare_training(RecordedCase& c, const nn::PthFile& file) {
  const nn::StateDict inputs = c.folder().load("train.f64");
  const Json options = field<Json>(c.folder().cases().at("train.f64"), "args");
  VqkdTraining training(c, options);
  for (int64_t step = 0; step < field<int64_t>(options, "steps"); ++step) {
    const std::string suffix = ".step" + std::to_string(step);
    const Tensor features = inputs.at("input.teacher_features" + suffix).to(c.dtype());
    training.run_step(inputs.at("input.image" + suffix).to(c.dtype()),
                      reshape(features, {-1, features.size(-1)}));
  }
  const nn::StateDict model = nn::without_prefix(file.tensors, "model.");
  for (const nn::Field& f : training.vq.list_fields()) {
    if (model.contains(f.name)) {
      c.compare_trained("model." + f.name, model.at(f.name), f.view());
    } else {
      c.miss("model." + f.name);
    }
  }
  const nn::StateDict ours = training.optimizer.state();
  const std::vector<std::string> names = counted_names(c.folder());
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string path = "optimizer.state." + std::to_string(i) + ".";
    const std::pair<const char*, const char*> parts[] = {
        {"step", "step."}, {"exp_avg", "m."}, {"exp_avg_sq", "v."}};
    for (const auto& [theirs, own] : parts) {
      const auto found = file.tensors.find(path + theirs);
      check<IoError>(found != file.tensors.end() && ours.contains(own + names[i]),
                     "parity: the checkpoint holds no {}{} of {}", path, theirs, names[i]);
      c.compare_trained(path + theirs + " (" + names[i] + ")", found->second,
                        ours.at(own + names[i]));
    }
  }
  const std::vector<double> betas = field<std::vector<double>>(options, "betas");
  const std::string group = "optimizer.param_groups.0.";
  c.compare_with(
      "rates of the optimizer",
      from_data(std::vector<double>{number(file, group + "lr"), number(file, group + "betas.0"),
                                    number(file, group + "betas.1"), number(file, group + "eps")},
                {4}),
      from_data(std::vector<double>{field<double>(options, "lr"), betas.at(0), betas.at(1),
                                    field<double>(options, "eps")},
                {4}));
}

}  // namespace

void run_checkpoint_case(RecordedCase& c) {
  const nn::PthFile file = nn::load_pth((c.folder().path() / c.name()).string());
  const std::string stem = c.name().substr(0, c.name().rfind('.'));
  if (c.folder().has_file(stem + ".weights.safetensors")) {
    compare_with_twin(c, nn::without_prefix(file.tensors, "model."),
                      c.folder().load(stem + ".weights"));
    return;
  }
  check<IoError>(
      c.folder().has_file("train.f64.safetensors") && c.folder().cases().contains("train.f64"),
      "parity: there is nothing to compare {} with: neither {}.weights.safetensors, nor "
      "a case train.f64",
      c.name(), stem);
  compare_training(c, file);
}

}  // namespace tessera::beit3
