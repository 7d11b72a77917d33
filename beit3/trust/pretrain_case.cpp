// Steps of masked data modelling on images, texts and pairs, in two forms: three passes of padded
// batches, as the record was made, and one packed pass without padding, as training has it. Both
// have to give the recorded losses, gradients and parameters.
#include <map>

#include "autograd/autograd.h"
#include "beit3/pretrain/trainer.h"
#include "beit3/trust/padded_internal.h"
#include "nn/optim/schedule.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/index.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {
namespace {

/// What one pass holds.
struct Kinds {
  bool images = false, texts = false, pairs = false;
};
constexpr Kinds kAll{.images = true, .texts = true, .pairs = true};
constexpr std::pair<const char*, Kinds> kPasses[] = {
    {"image", {.images = true}}, {"text", {.texts = true}}, {"pair", {.pairs = true}}};

/// A batch, with the code of every patch.
struct StepBatch {
  PretrainBatch batch;
  std::vector<int64_t> codes;
};

/// The recorded batches of all steps.
class Batches {
 public:
  Batches(const RecordedFolder& folder, const std::string& stem, const ModelConfig& config,
          bool mask_pair_images)
      : tensors_(folder.load(stem)), config_(config), mask_pair_images_(mask_pair_images) {}

  const Tensor& at(int64_t step, const std::string& name) const {
    const std::string key = "step" + std::to_string(step) + "." + name;
    const auto found = tensors_.find(key);
    check<IoError>(found != tensors_.end(), "parity: the batches hold no tensor \"{}\"", key);
    return found->second;
  }

  StepBatch make(int64_t step, const Kinds& kinds, bool padded) const {
    StepBatch made;
    PretrainBatch& b = made.batch;
    b.step = step;
    int64_t images = 0;
    if (kinds.images)
      images = add_pictures(made, step, "image.pixels", "image.codes", "image.masked", true);
    if (kinds.pairs)
      add_pictures(made, step, "pair.pixels", "pair.codes", "pair.image_masked", mask_pair_images_);
    std::vector<int64_t> pair_lengths, text_lengths, padding, words;
    if (kinds.pairs) {
      b.pair_words = add_texts(b, step, "pair", padded, pair_lengths, padding, words);
    }
    if (kinds.texts) {
      b.text_words = add_texts(b, step, "text", padded, text_lengths, padding, words);
    }
    b.layout = PackedLayout(images, pair_lengths, text_lengths, config_.image_rows(), padding);
    list_hidden(b, words);
    return made;
  }

 private:
  int64_t add_pictures(StepBatch& made, int64_t step, const char* pixels, const char* codes,
                       const char* masked, bool mask) const {
    PretrainBatch& b = made.batch;
    const std::vector<float> p = at(step, pixels).to_vector<float>();
    const std::vector<int64_t> c = at(step, codes).to_vector<int64_t>();
    const std::vector<int64_t> m = at(step, masked).to_vector<int64_t>();
    check<IoError>(c.size() == m.size() && static_cast<int64_t>(c.size()) ==
                                               at(step, pixels).size(0) * config_.patches(),
                   "parity: step {} has {} codes and {} masks for pictures {}", step, c.size(),
                   m.size(), at(step, pixels).shape());
    b.pixels.insert(b.pixels.end(), p.begin(), p.end());
    made.codes.insert(made.codes.end(), c.begin(), c.end());
    for (int64_t hidden : m) b.masked.push_back(mask && hidden != 0);
    return at(step, pixels).size(0);
  }

  /// Returns how many words are predicted; `words` gets their places among all ids.
  int64_t add_texts(PretrainBatch& b, int64_t step, const std::string& kind, bool padded,
                    std::vector<int64_t>& lengths, std::vector<int64_t>& padding,
                    std::vector<int64_t>& words) const {
    const std::vector<int64_t> truth = at(step, kind + ".ids").to_vector<int64_t>();
    const std::vector<int64_t> read = at(step, kind + ".input_ids").to_vector<int64_t>();
    const std::vector<int64_t> masked = at(step, kind + ".masked").to_vector<int64_t>();
    const std::vector<int64_t> pad = padding_lengths(at(step, kind + ".padding"));
    const int64_t width = at(step, kind + ".ids").size(1);
    check<IoError>(truth.size() == read.size() && truth.size() == masked.size() &&
                       truth.size() == pad.size() * static_cast<size_t>(width),
                   "parity: texts of step {} have {} ids, {} inputs and {} masks", step,
                   truth.size(), read.size(), masked.size());
    int64_t predicted = 0;
    for (size_t i = 0; i < pad.size(); ++i) {
      const int64_t length = padded ? width : width - pad[i];
      lengths.push_back(length);
      if (padded) padding.push_back(pad[i]);
      for (int64_t j = 0; j < length; ++j) {
        const size_t place = i * static_cast<size_t>(width) + static_cast<size_t>(j);
        if (masked[place] != 0) {
          words.push_back(static_cast<int64_t>(b.ids.size()));
          b.word_labels.push_back(truth[place]);
          ++predicted;
        }
        b.ids.push_back(read[place]);
      }
    }
    return predicted;
  }

  nn::StateDict tensors_;
  ModelConfig config_;
  bool mask_pair_images_;
};

/// Losses of one step, all four parts.
struct StepLosses {
  Tensor total;
  PartResult image, text, pair_text, pair_image;
};

/// One case, in one of the two forms.
class Passes {
 public:
  Passes(RecordedCase& c, const ModelConfig& config, const Batches& batches,
         const nn::StateDict& start, bool padded)
      : c_(c),
        batches_(batches),
        padded_(padded),
        title_(padded ? "padded " : "packed "),
        model_(config, {.dtype = c.dtype()}) {
    nn::load_state(model_, start);
    const Json weights = field<Json>(field<Json>(c.entry(), "args"), "loss_weights");
    auto weight = [&](const char* part) {
      return weights.contains(part) ? field<double>(weights, part) : 0;
    };
    weights_ = {weight("image"), weight("text"), weight("pair_text"), weight("pair_image")};
  }

  void run() {
    const Json& manifest = c_.folder().manifest();
    const Json options = field<Json>(manifest, "optimizer");
    const std::vector<double> betas = field<std::vector<double>>(options, "opt_betas");
    check<IoError>(betas.size() == 2, "parity: {} betas are recorded; expected 2", betas.size());
    const std::vector<double> rates = field<std::vector<double>>(manifest, "lr");
    nn::AdamW optimizer(pretrain_groups(model_, field<double>(options, "weight_decay")),
                        {.beta1 = betas[0],
                         .beta2 = betas[1],
                         .eps = field<double>(options, "opt_eps"),
                         .max_grad_norm = field<double>(manifest.at("config"), "clip_grad_norm"),
                         .missing_grad = nn::MissingGrad::skip});
    const nn::CosineSchedule schedule{.peak = field<double>(options, "lr"),
                                      .floor = field<double>(options, "final_lr"),
                                      .warmup = field<int64_t>(options, "warmup_steps"),
                                      .total = static_cast<int64_t>(rates.size())};
    compare_outputs();
    std::vector<double> norms, used;
    for (int64_t step = 1; step <= schedule.total; ++step) {
      const StepLosses losses = losses_of(step);
      backward(losses.total);
      if (step == 1) compare_gradients(c_, model_, "", title_);
      used.push_back(nn::warmup_cosine_inclusive(schedule, step - 1));
      optimizer.set_lr(used.back());
      norms.push_back(optimizer.step().grad_norm.item<double>());
      optimizer.zero_grad();
      note(losses);
    }
    compare_list("lr", from_data(rates, {schedule.total}), used);
    for (const auto& [part, values] : losses_) {
      if (c_.has("loss." + part)) compare_list("loss." + part, c_.at("loss." + part), values);
    }
    compare_list("grad_norm", c_.at("grad_norm"), norms);
    for (const nn::Field& f : model_.list_fields()) {
      const std::string name = "after." + f.name;
      if (c_.has(name)) c_.compare_trained(title_ + name, c_.at(name), f.view());
    }
  }

 private:
  /// Results of the first step, after the final norm and from the heads.
  void compare_outputs() {
    for (const auto& [kind, kinds] : kPasses) {
      const StepBatch b = batches_.make(1, kinds, padded_);
      const std::string name = kind;
      const Tensor out = model_.beit3(packed_input(b.batch, model_.config()), {});
      compare_encoder_out("step1.encoder_out." + name, b.batch.layout, out);
      const Tensor kept = index_select(
          out, from_data(b.batch.keep, {static_cast<int64_t>(b.batch.keep.size())}), 0);
      const int64_t patches = b.batch.image_patches + b.batch.pair_patches;
      if (patches > 0) {
        c_.compare_as(title_ + "logits." + name + " patches",
                      "step1.logits." + std::string(kinds.pairs ? "pair_image" : name),
                      linear(slice(kept, 0, 0, patches), model_.mim_weight, model_.mim_bias));
      }
      if (kept.size(0) > patches) {
        c_.compare_as(
            title_ + "logits." + name + " words",
            "step1.logits." + std::string(kinds.pairs ? "pair_text" : name),
            linear(slice(kept, 0, patches, kept.size(0)), model_.mlm_weight, model_.mlm_bias));
      }
    }
  }

  /// Recorded (B, T, C), image rows before text rows. Packed, rows of padding do not exist here.
  void compare_encoder_out(const std::string& key, const PackedLayout& layout, const Tensor& out) {
    if (!c_.has(key)) return;
    const Tensor& recorded = c_.at(key);
    const int64_t batch = recorded.size(0), length = recorded.size(1), width = recorded.size(2);
    const int64_t vision = layout.image_count() > 0 ? layout.image_rows() : 0;
    std::vector<int64_t> here, there;
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t t = 0; t < vision; ++t) {
        here.push_back(layout.image_begin(b) + t);
        there.push_back(b * length + t);
      }
      const int64_t words = length > vision ? layout.text_length(b) : 0;
      for (int64_t t = 0; t < words; ++t) {
        here.push_back(layout.text_begin(b) + t);
        there.push_back(b * length + vision + t);
      }
    }
    const int64_t n = static_cast<int64_t>(here.size());
    c_.compare_with(title_ + key,
                    index_select(reshape(recorded, {batch * length, width}), from_data(there, {n})),
                    index_select(out, from_data(here, {n})));
  }

  StepLosses losses_of(int64_t step) const {
    StepLosses losses;
    auto add = [&](const Kinds& kinds) {
      const StepBatch b = batches_.make(step, kinds, padded_);
      const PartSizes sizes{b.batch.image_patches, b.batch.pair_patches, b.batch.pair_words,
                            b.batch.text_words};
      const ObjectiveResult r =
          masked_data_modelling(model_, b.batch, sizes, b.codes, {}, {}, weights_);
      losses.total = losses.total.defined() ? losses.total + r.loss : r.loss;
      losses.image.add(r.image);
      losses.text.add(r.text);
      losses.pair_text.add(r.pair_text);
      losses.pair_image.add(r.pair_image);
    };
    if (padded_) {
      for (const auto& [kind, kinds] : kPasses) add(kinds);
    } else {
      add(kAll);
    }
    return losses;
  }

  void note(const StepLosses& losses) {
    losses_["image"].push_back(losses.image.loss());
    losses_["text"].push_back(losses.text.loss());
    losses_["pair_text"].push_back(losses.pair_text.loss());
    losses_["pair_image"].push_back(losses.pair_image.loss());
    losses_["total"].push_back(losses.total.item<double>());
  }

  void compare_list(const std::string& name, const Tensor& recorded,
                    const std::vector<double>& ours) {
    c_.compare_with(title_ + name, recorded,
                    from_data(ours, {static_cast<int64_t>(ours.size())}).to(c_.dtype()));
  }

  RecordedCase& c_;
  const Batches& batches_;
  bool padded_;
  std::string title_;
  PretrainModel model_;
  PartWeights weights_;
  std::map<std::string, std::vector<double>> losses_;
};

}  // namespace

void run_pretrain_case(RecordedCase& c) {
  const nn::StateDict start =
      c.folder().load(field<std::string>(c.entry(), "weights") + ".weights");
  ModelConfig config = recorded_model(c.folder(), start);
  config.codes = c.folder().size("codes");
  const Batches batches(c.folder(), field<std::string>(c.entry(), "inputs"), config,
                        field<bool>(field<Json>(c.entry(), "args"), "mask_pair_images"));
  for (bool padded : {true, false}) Passes(c, config, batches, start, padded).run();
}

}  // namespace tessera::beit3
