#include "beit3/pretrain/trainer.h"

#include <charconv>
#include <chrono>
#include <cmath>

#include "autograd/autograd.h"
#include "beit3/model/init.h"
#include "beit3/model/parameter_hash.h"
#include "beit3/vqkd/train.h"
#include "beit3/vqkd/vqkd.h"
#include "nn/io/safetensors.h"
#include "nn/optim/schedule.h"
#include "nn/state_dict.h"
#include "tensor/ops/creation.h"
#include "tensor/products.h"

namespace tessera::beit3 {
namespace {

constexpr std::string_view kFormat = "tessera-pretrain-1";
/// Names that begin so belong to the run, not to the model.
constexpr std::string_view kOptimizerPrefix = "optimizer.", kPretrainPrefix = "pretrain.";
constexpr std::string_view kAveragePrefix = "optimizer.average.";  // kept if average_decay is set

/// The names of target weights in a checkpoint.
constexpr std::pair<std::string_view, std::vector<float> TargetWeights::*> kTargetWeights[] = {
    {"pretrain.code_weight", &TargetWeights::code}, {"pretrain.word_weight", &TargetWeights::word}};

/// What a checkpoint says of itself besides its tensors.
class CheckpointText {
 public:
  CheckpointText(const std::filesystem::path& path, const nn::SafetensorsMetadata& metadata)
      : path_(path.string()), metadata_(metadata) {}

  std::string text(const char* key) const {
    const auto found = metadata_.find(key);
    check<IoError>(found != metadata_.end() && !found->second.empty(),
                   "{} is no checkpoint of a pretraining run: it says no \"{}\"", path_, key);
    return found->second;
  }
  int64_t number(const char* key, int64_t most) const {
    const std::string value = text(key);
    int64_t parsed = -1;
    const auto result = std::from_chars(value.data(), value.data() + value.size(), parsed);
    check<IoError>(result.ec == std::errc() && parsed >= 0 && parsed <= most,
                   "{}: \"{}\" is \"{}\"; expected 0 … {}", path_, key, value, most);
    return parsed;
  }
  int64_t step() const { return number("step", int64_t{1} << 50); }

 private:
  std::string path_;
  const nn::SafetensorsMetadata& metadata_;
};

/// The recipe with the sizes that the tokenizers decide.
PretrainRecipe with_vocabularies(PretrainRecipe recipe, const Tokenizer& text, const Vqkd& image) {
  recipe.model.text_rows = text.vocab_size();
  recipe.model.codes = image.config().codes;
  check<ValueError>(image.config().image_size / image.config().patch == recipe.model.grid(),
                    "the image tokenizer {} cuts pictures into {} x {} patches, the model into "
                    "{} x {}; choose model.image_size and model.patch to match",
                    recipe.image_tokenizer, image.config().image_size / image.config().patch,
                    image.config().image_size / image.config().patch, recipe.model.grid(),
                    recipe.model.grid());
  check<ValueError>(image.config().image_size == recipe.model.image_size,
                    "the image tokenizer {} reads pictures of side {}, the model of side {}",
                    recipe.image_tokenizer, image.config().image_size, recipe.model.image_size);
  validate(recipe);
  return recipe;
}

/// What must be equal for a run to go on: "name: checkpoint has …, this run has …" lines.
std::string differences(const std::map<std::string, std::string>& saved,
                        const std::map<std::string, std::string>& here) {
  std::string out;
  for (const auto& [key, value] : here) {
    const auto found = saved.find(key);
    const std::string other = found == saved.end() ? "nothing" : found->second;
    if (other != value)
      out += "\n  " + key + ": the checkpoint has " + other + ", this run " + value;
  }
  return out;
}

/// A run from before a field of the recipe existed did what the field's default says.
std::map<std::string, std::string> with_defaults(std::map<std::string, std::string> saved) {
  for (const auto& [name, value] : field_values({})) saved.try_emplace("recipe." + name, value);
  return saved;
}

/// Fields that may change between a save and its resume without changing what was learned so far.
bool may_change(std::string_view name) {
  return name.starts_with("log.") || name == "data.threads" || name == "data.cache_mb" ||
         name == "train.recompute" || name == "train.update_in_backward" ||
         name == "data.held_out" || name == "data.held_out_texts" ||
         name == "data.held_out_split" || name == "data.split" || name == "data.images" ||
         name == "data.pairs" || name == "data.texts" ||
         name.starts_with("tokenizer.");  // paths: contents are compared by hash
}

std::map<std::string, std::string> identity(const PretrainRecipe& recipe, uint64_t text_hash,
                                            const std::string& image_hash, uint64_t data) {
  std::map<std::string, std::string> all;
  for (const auto& [name, value] : field_values(recipe)) {
    if (!may_change(name)) all["recipe." + name] = value;
  }
  all["text_tokenizer"] = hex_digits(text_hash);
  all["image_tokenizer"] = image_hash;
  all["data"] = hex_digits(data);
  return all;
}

/// Fewer parameters than a model of these sizes has, whatever its form. As a real number: a file
/// may claim any sizes.
double least_parameters(const ModelConfig& c) {
  const double width = static_cast<double>(c.width), grid = static_cast<double>(c.grid());
  return width * (static_cast<double>(c.layers) * (4 * width + 4 * static_cast<double>(c.ffn)) +
                  static_cast<double>(c.text_rows) + static_cast<double>(c.codes) +
                  static_cast<double>(c.text_positions) + grid * grid);
}

}  // namespace

PretrainTrainer::PretrainTrainer(const PretrainRecipe& recipe)
    : tokenizer_(Tokenizer::load(recipe.text_tokenizer)),
      image_tokenizer_(std::make_unique<Vqkd>(load_vqkd(recipe.image_tokenizer))) {
  recipe_ = with_vocabularies(recipe, tokenizer_, *image_tokenizer_);
  image_tokenizer_hash_ = content_hash(*image_tokenizer_);
  data_ = std::make_unique<PretrainData>(recipe_, tokenizer_);
  model_ = PretrainModel(recipe_.model);
  initialise(model_, RandomKey{recipe_.seed}.fold(0x696E6974));
  optimizer_ = std::make_unique<PretrainOptimizer>(model_, recipe_);
  prepare_target_weights();
}

PretrainTrainer::~PretrainTrainer() = default;

void PretrainTrainer::start_prefetch() {
  // Items are pieces of batches: piece k of step s is item s * accumulate + k.
  const int64_t pieces = recipe_.accumulate;
  prefetch_ = std::make_unique<Prefetcher<PretrainBatch>>(
      [data = data_.get(), pieces](int64_t item) {
        return make_batch(*data, item / pieces, item % pieces);
      },
      PrefetchOptions{.threads = static_cast<int>(recipe_.data.threads),
                      .depth = 4,
                      .first_step = step_ * pieces});
}

std::vector<int64_t> PretrainTrainer::codes_of(const PretrainBatch& batch) {
  // Pairs come last; where nothing of their pictures is hidden, nobody asks for their codes.
  const int64_t unasked = recipe_.pair_image_mask > 0 ? 0 : batch.layout.pair_count();
  const int64_t count = batch.layout.image_count() - unasked, side = recipe_.model.image_size;
  if (count == 0) return {};
  const NoGrad silent;
  const auto encode = [&](std::span<const float> pixels, int64_t pictures) {
    return image_tokenizer_->encode(from_data(pixels, {pictures, 3, side, side}))
        .to_vector<int64_t>();
  };
  const size_t size = static_cast<size_t>(3 * side * side);  // of a picture
  const std::span<const float> all =
      std::span(batch.tokenizer_pixels).first(static_cast<size_t>(count) * size);
  const DataRecipe& data = recipe_.data;
  const bool changing = data.augment || data.flip > 0 || data.jitter > 0;
  // What was kept must equal what a resumed run, which starts with nothing kept, encodes anew.
  if (changing || recipe_.model.codes > 65536 || !products_are_row_exact(kCpu)) {
    return encode(all, count);
  }
  const std::span<const int64_t> pictures =
      std::span(batch.samples).first(static_cast<size_t>(count));
  return code_memory_.codes_of(
      pictures, recipe_.model.patches(), [&](std::span<const int64_t> places) {
        std::vector<float> pixels;
        pixels.reserve(places.size() * size);
        for (int64_t place : places) {
          const auto picture = all.subspan(static_cast<size_t>(place) * size, size);
          pixels.insert(pixels.end(), picture.begin(), picture.end());
        }
        return encode(pixels, static_cast<int64_t>(places.size()));
      });
}

void PretrainTrainer::prepare_target_weights() {
  const bool codes = recipe_.code_power != 0 && recipe_.images + recipe_.pairs > 0;
  const bool words = recipe_.word_power != 0 && recipe_.texts + recipe_.pairs > 0;
  if (!codes && !words) return;
  // Frequencies are those of the first batches: a function of recipe and data, as all else.
  std::vector<int64_t> code_counts(static_cast<size_t>(recipe_.model.codes), 0);
  std::vector<int64_t> word_counts(static_cast<size_t>(recipe_.model.text_rows), 0);
  for (int64_t step = 0; step < 32; ++step) {
    for (int64_t piece = 0; piece < recipe_.accumulate; ++piece) {
      const PretrainBatch batch = make_batch(*data_, step, piece);
      for (int64_t id : batch.word_labels) ++word_counts[static_cast<size_t>(id)];
      if (!codes) continue;
      for (int64_t code : codes_of(batch)) ++code_counts[static_cast<size_t>(code)];
    }
  }
  if (codes) target_weights_.code = frequency_weights(code_counts, recipe_.code_power);
  if (words) target_weights_.word = frequency_weights(word_counts, recipe_.word_power);
}

void PretrainTrainer::check_whole() const {
  check<StateError>(
      !torn_,
      "step {} ended amid its updates (train.update_in_backward): some parameters have "
      "changed, others not; resume from the last checkpoint, with a smaller optim.lr if "
      "gradients were not finite, or without train.update_in_backward",
      step_ + 1);
}

StepReport PretrainTrainer::run_step() {
  check_whole();
  try {
    return try_step();
  } catch (...) {
    // As if it had not been tried: the next try begins with the same batch and no gradients.
    optimizer_->zero_grad();
    prefetch_.reset();
    throw;
  }
}

StepReport PretrainTrainer::try_step() {
  const auto start = std::chrono::steady_clock::now();
  if (!prefetch_) start_prefetch();
  StepReport report;
  nn::StepReport update;
  report.lr = nn::warmup_cosine({.peak = recipe_.lr,
                                 .floor = recipe_.lr * recipe_.min_lr_share,
                                 .warmup = std::min(recipe_.warmup, recipe_.steps),
                                 .total = recipe_.steps},
                                step_);
  std::vector<PretrainBatch> pieces;
  PartSizes whole;
  for (int64_t k = 0; k < recipe_.accumulate; ++k) {
    pieces.push_back(prefetch_->next());
    const PretrainBatch& b = pieces.back();
    whole.image_patches += b.image_patches;
    whole.pair_patches += b.pair_patches;
    whole.pair_words += b.pair_words;
    whole.text_words += b.text_words;
  }
  Pass pass{.training = true,
            .key = RandomKey{recipe_.seed}.fold(0x70617373).fold(static_cast<uint64_t>(step_)),
            .recompute = recipe_.recompute,
            .dtype = recipe_.dtype == "bf16" ? DType::bf16 : DType::f32,
            .samples = {}};
  for (const PretrainBatch& batch : pieces) {
    pass.samples = batch.samples;
    const std::vector<int64_t> codes = codes_of(batch);
    const ObjectiveResult result =
        masked_data_modelling(model_, batch, whole, codes, target_weights_, pass,
                              {.image = recipe_.image_weight,
                               .text = recipe_.text_weight,
                               .pair_text = recipe_.pair_text_weight,
                               .pair_image = recipe_.pair_image_weight});
    report.loss += result.loss.item<double>();
    report.image.add(result.image);
    report.text.add(result.text);
    report.pair_text.add(result.pair_text);
    report.pair_image.add(result.pair_image);
    report.rows += batch.layout.rows();
    report.sequences += batch.layout.segments().list().size();
    if (!recipe_.update_in_backward || &batch != &pieces.back()) {
      backward(result.loss);
    } else if (std::isfinite(report.loss)) {
      update = update_in_backward(result.loss, report.lr);
    }
  }
  if (!recipe_.update_in_backward) update = optimizer_->step(report.lr);
  report.grad_norm = update.grad_norm.defined() ? update.grad_norm.item<double>() : 0;
  report.finite = std::isfinite(report.loss) && std::isfinite(report.grad_norm);
  optimizer_->zero_grad();
  report.step = ++step_;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

nn::StepReport PretrainTrainer::update_in_backward(const Tensor& loss, double lr) {
  torn_ = true;
  const nn::StepReport update = optimizer_->backward_and_step(loss, lr);
  if (update.grad_norm.defined() && !std::isfinite(update.grad_norm.item<double>())) check_whole();
  torn_ = false;
  return update;
}

void PretrainTrainer::save(const std::filesystem::path& path) const {
  check_whole();
  nn::StateDict tensors = model_.state();
  tensors.merge(nn::with_prefix(optimizer_->state(), kOptimizerPrefix));
  for (const auto& [name, part] : kTargetWeights) {
    const std::vector<float>& weight = target_weights_.*part;
    if (weight.empty()) continue;
    tensors[std::string(name)] = from_data(weight, {static_cast<int64_t>(weight.size())});
  }
  std::map<std::string, std::string> metadata =
      identity(recipe_, tokenizer_.hash(), hex_digits(image_tokenizer_hash_), data_->fingerprint());
  metadata["format"] = kFormat;
  metadata["step"] = std::to_string(step_);
  metadata["config"] = to_toml(recipe_);
  metadata["codes"] = std::to_string(recipe_.model.codes);
  metadata["text_rows"] = std::to_string(recipe_.model.text_rows);
  metadata["parameter_hash"] = parameter_hash();
  nn::save_safetensors(path.string(), tensors, metadata);
}

void PretrainTrainer::load(const std::filesystem::path& path) {
  const auto file = nn::load_safetensors(path.string());
  const auto format = file.metadata.find("format");
  check<StateError>(format != file.metadata.end() && format->second == kFormat,
                    "{} is no checkpoint of a pretraining run", path.string());
  const std::string other =
      differences(with_defaults(file.metadata),
                  identity(recipe_, tokenizer_.hash(), hex_digits(image_tokenizer_hash_),
                           data_->fingerprint()));
  check<StateError>(other.empty(),
                    "{} belongs to another run; resume with the recipe, data and tokenizers it was "
                    "made with:{}",
                    path.string(), other);
  const int64_t step = CheckpointText(path, file.metadata).step();
  nn::StateDict parameters;
  TargetWeights target_weights;
  for (const auto& [name, tensor] : file.tensors) {
    if (belongs_to_model(name)) parameters[name] = tensor;
  }
  for (const auto& [name, part] : kTargetWeights) {
    const size_t size = (target_weights_.*part).size();
    const auto found = file.tensors.find(std::string(name));
    if (found != file.tensors.end()) target_weights.*part = found->second.to_vector<float>();
    check<IoError>((target_weights.*part).size() == size, "{}: {} has {} elements; expected {}",
                   path.string(), name, (target_weights.*part).size(), size);
  }
  // Everything is checked apart before anything of this run changes.
  PretrainModel saved(recipe_.model);
  nn::load_state(saved, parameters);
  optimizer_->load(nn::without_prefix(file.tensors, kOptimizerPrefix));
  nn::load_state(model_, saved.state());
  target_weights_ = std::move(target_weights);
  step_ = step;
  torn_ = false;
  prefetch_.reset();
}

const PretrainModel& PretrainTrainer::evaluated_model() {
  if (recipe_.average_decay <= 0) return model_;
  if (!averaged_) averaged_ = std::make_unique<PretrainModel>(recipe_.model);
  nn::load_state(*averaged_, optimizer_->averages());
  return *averaged_;
}

std::string PretrainTrainer::parameter_hash() const {
  return beit3::parameter_hash(model_.state());
}

bool belongs_to_model(std::string_view name) {
  return !name.starts_with(kOptimizerPrefix) && !name.starts_with(kPretrainPrefix);
}

LoadedModel load_pretrained(const std::filesystem::path& checkpoint) {
  const nn::SafetensorsFile file =
      nn::load_safetensors(checkpoint.string(), {.wanted = [](std::string_view name) {
                             return name.starts_with(kAveragePrefix) || belongs_to_model(name);
                           }});
  const CheckpointText says(checkpoint, file.metadata);
  check<IoError>(says.text("format") == kFormat, "{} is no checkpoint of a pretraining run",
                 checkpoint.string());
  LoadedModel loaded;
  loaded.recipe.model.codes = says.number("codes", 1 << 24);
  loaded.recipe.model.text_rows = says.number("text_rows", 1 << 24);
  try {
    for (const auto& [key, value] : file.metadata) {
      constexpr std::string_view kRecipe = "recipe.";
      if (key.starts_with(kRecipe)) set_field(loaded.recipe, key.substr(kRecipe.size()), value);
    }
    validate(loaded.recipe.model);
  } catch (const ValueError& error) {
    fail<IoError>("{}: its recipe does not hold: {}", checkpoint.string(), error.what());
  }
  // Before anything of the size that the recipe claims is made.
  int64_t held = 0;
  for (const auto& [name, tensor] : file.tensors) held += tensor.numel();
  check<IoError>(least_parameters(loaded.recipe.model) <= static_cast<double>(held),
                 "{}: the file holds {} numbers, but the model of its recipe has at least {}",
                 checkpoint.string(), held, least_parameters(loaded.recipe.model));
  loaded.step = says.step();
  loaded.text_tokenizer_hash = says.text("text_tokenizer");
  loaded.image_tokenizer_hash = says.text("image_tokenizer");
  loaded.model = PretrainModel(loaded.recipe.model);
  const nn::StateDict averages = nn::without_prefix(file.tensors, kAveragePrefix);
  try {
    nn::load_state(loaded.model.state(), averages.empty() ? file.tensors : averages,
                   checkpoint.string());
  } catch (const StateError& error) {
    throw IoError(error.what());
  }
  return loaded;
}

}  // namespace tessera::beit3
