#include "autograd/grad_mode.h"
#include "beit3/json/json.h"
#include "beit3/vqkd/file_internal.h"
#include "beit3/vqkd/train.h"
#include "nn/state_dict.h"
#include "tensor/ops/cast.h"
#include "tensor/ops/creation.h"

namespace tessera::beit3 {
namespace {

const std::string kCounters = "trainer.counters", kLastUsed = "trainer.last_used",
                  kReplaced = "trainer.replaced", kRecentCounts = "trainer.recent";

Json json_of(const VqkdRecipe& r) {
  return {{"model", parse_json(to_json(r.model))},
          {"steps", r.steps},
          {"batch", r.batch},
          {"lr", r.lr},
          {"min_lr_share", r.min_lr_share},
          {"beta1", r.beta1},
          {"beta2", r.beta2},
          {"weight_decay", r.weight_decay},
          {"clip", r.clip},
          {"warmup", r.warmup},
          {"plain_steps", r.plain_steps},
          {"start_rounds", r.start_rounds},
          {"decay", r.decay},
          {"revive_after", r.revive_after},
          {"commitment", r.commitment},
          {"foreground_variance", r.foreground.variance},
          {"foreground_extra", r.foreground.extra},
          {"published_init", r.published_init},
          {"seed", r.seed}};
}

/// `"steps" is 10, the file has 20`, joined.
std::string differences(const Json& here, const Json& there) {
  std::string text;
  for (const auto& [name, value] : here.items()) {
    const auto found = there.find(name);
    if (found != there.end() && *found == value) continue;
    text += format("{}\"{}\" is {}, the file has {}", text.empty() ? "" : "; ", name,
                   json_text(value), found == there.end() ? "none" : json_text(*found));
  }
  return text;
}

/// A tensor of whole numbers: at most kRecent lines of `columns`.
std::vector<int64_t> integers(const nn::StateDict& state, const std::string& name, int64_t columns,
                              const std::string& path) {
  const auto found = state.find(name);
  check<IoError>(found != state.end(), "{}: there is no training state to go on from", path);
  const Tensor& t = found->second;
  check<IoError>(t.dtype() == DType::i64 && t.rank() == 2 && t.size(1) == columns &&
                     t.size(0) <= static_cast<int64_t>(VqkdTrainer::kRecent),
                 "{}: \"{}\" is {} {}, expected i64 (…, {})", path, name, t.dtype(), t.shape(),
                 columns);
  return t.to_vector<int64_t>();
}

}  // namespace

std::string to_json(const VqkdRecipe& recipe) { return json_text(json_of(recipe)); }

void VqkdTrainer::save(const std::string& path) const {
  const int64_t codes = static_cast<int64_t>(last_used_.size());
  std::vector<int64_t> recent;
  for (const auto& counts : recent_) recent.insert(recent.end(), counts.begin(), counts.end());
  nn::StateDict all = model_.state();
  all.merge(nn::with_prefix(optimizer_.state(), detail::kOptimizerPrefix));
  all.emplace(kCounters, from_data(std::vector<int64_t>{step_, revived_}, {1, 2}));
  all.emplace(kLastUsed, from_data(last_used_, {1, codes}));
  all.emplace(kReplaced, from_data(replaced_, {1, codes}));
  all.emplace(kRecentCounts, from_data(recent, {static_cast<int64_t>(recent_.size()), codes}));
  nn::SafetensorsMetadata metadata = detail::vqkd_metadata(model_);
  metadata["recipe"] = to_json(recipe_);
  nn::save_safetensors(path, all, metadata);
}

void VqkdTrainer::load(const std::string& path) {
  const nn::SafetensorsFile file = nn::load_safetensors(path);
  // Everything is read and checked apart before anything of this trainer changes.
  Vqkd saved(detail::checked_config(file, path));
  check<IoError>(file.tensors.contains(kCounters) && file.metadata.contains("recipe"),
                 "{}: there is no training state to go on from", path);
  const auto recipe = try_parse_json(file.metadata.at("recipe"));
  check<IoError>(recipe.is_object(), "{}: its recipe is no JSON object", path);
  const std::string other = differences(json_of(recipe_), recipe);
  check<StateError>(other.empty(), "{} was trained by another recipe: {}", path, other);
  detail::load_checked(saved, file.tensors, file.metadata, path);
  const int64_t codes = static_cast<int64_t>(last_used_.size());
  const std::vector<int64_t> counters = integers(file.tensors, kCounters, 2, path);
  const std::vector<int64_t> last_used = integers(file.tensors, kLastUsed, codes, path);
  const std::vector<int64_t> replaced = integers(file.tensors, kReplaced, codes, path);
  const std::vector<int64_t> recent = integers(file.tensors, kRecentCounts, codes, path);
  check<IoError>(counters.size() == 2 && last_used.size() == last_used_.size() &&
                     replaced.size() == replaced_.size() && counters[0] >= 0 &&
                     counters[0] <= recipe_.steps,
                 "{}: the training state is damaged", path);
  optimizer_.load(nn::without_prefix(file.tensors, detail::kOptimizerPrefix));
  nn::load_state(model_, saved.state());
  step_ = counters[0];
  revived_ = counters[1];
  last_used_ = last_used;
  replaced_ = replaced;
  recent_.clear();
  for (size_t i = 0; i < recent.size(); i += last_used_.size()) {
    const auto begin = recent.begin() + static_cast<std::ptrdiff_t>(i);
    recent_.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(codes));
  }
}

}  // namespace tessera::beit3
