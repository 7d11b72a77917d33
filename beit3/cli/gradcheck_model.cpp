#include "beit3/cli/gradcheck_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/autograd.h"
#include "beit3/model/init.h"
#include "beit3/pretrain/objective.h"
#include "tensor/ops/cast.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/random.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3::cli {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();

/// An image, a pair of 5 ids and a text of 4, with some patches and ids of each hidden.
PretrainBatch small_batch(const ModelConfig& config, RandomKey key) {
  RandomStream stream(key);
  PretrainBatch batch;
  batch.layout = PackedLayout(1, {5}, {4}, config.image_rows());
  const int64_t images = batch.layout.image_count(), patches = config.patches();
  batch.pixels.resize(static_cast<size_t>(images * 3 * config.image_size * config.image_size));
  for (float& v : batch.pixels) v = static_cast<float>(stream.normal());
  batch.masked.assign(static_cast<size_t>(images * patches), 0);
  for (int64_t image = 0; image < images; ++image) {
    for (int64_t patch = image; patch < patches; patch += 2) {
      batch.masked[static_cast<size_t>(image * patches + patch)] = 1;
    }
  }
  for (int64_t i = 0; i < batch.layout.text_rows(); ++i) {
    batch.ids.push_back(stream.integer(config.text_rows));
  }
  std::vector<int64_t> words;
  for (int64_t text = 0; text < 2; ++text) {
    const int64_t begin = batch.layout.text_begin(text) - batch.layout.vision_rows();
    for (int64_t place = 1; place < batch.layout.text_length(text); place += 2) {
      words.push_back(begin + place);
      batch.word_labels.push_back(stream.integer(config.text_rows));
      ++(text == 0 ? batch.pair_words : batch.text_words);
    }
  }
  list_hidden(batch, words);
  return batch;
}

/// A model of f64 with the parameters that training starts from.
PretrainModel started_model(const ModelConfig& config, RandomKey key) {
  PretrainModel narrow(config), model(config, {.dtype = DType::f64});
  initialise(narrow, key);
  const nn::NamedParameters from = narrow.named_parameters(), to = model.named_parameters();
  for (size_t i = 0; i < to.size(); ++i) {
    // Biases and norms start as 0 and 1, where mistakes could hide.
    const Tensor noise = normal(to[i].tensor.shape(), key.fold(i), {DType::f64}) * 0.05;
    copy_into(from[i].tensor.detach().to(DType::f64) + noise, to[i].tensor);
  }
  return model;
}

/// The elements of a tensor, row-major, that are published as `field`.
struct ElementRange {
  int64_t first, count;
};
ElementRange elements_of(const nn::Field& field) {
  if (field.whole()) return {0, field.tensor.numel()};
  const int64_t row = field.tensor.numel() / field.tensor.size(0);
  return {field.begin * row, (field.end - field.begin) * row};
}

/// "beit3.….k_proj.weight at (3, 7)": an element of the tensor by its published name.
std::string place_of(const nn::Field& field, int64_t element) {
  Shape at = field.shape();
  element -= elements_of(field).first;
  for (int axis = at.rank() - 1; axis >= 0; --axis) {
    const int64_t size = at[axis];
    at[axis] = element % size;
    element /= size;
  }
  return format("{} at {}", field.name, at);
}

/// A random direction of length 1 through the elements of `field`, in the shape of its tensor.
Tensor direction_through(const nn::Field& field, RandomKey key) {
  const Tensor along = normal(field.shape(), key, {DType::f64});
  const Tensor all = zeros(field.tensor.shape(), {DType::f64});
  const Tensor into = field.whole() ? all : slice(all, 0, field.begin, field.end);
  copy_into(along / std::sqrt(sum(square(along)).item<double>()), into);
  return all;
}

/// The loss as a function of the parameters, which it moves and puts back.
class LossAround {
 public:
  explicit LossAround(const ModelCheckOptions& o)
      : config_(o.model),
        key_{o.seed},
        model_(started_model(o.model, key_.fold(1))),
        batch_(small_batch(o.model, key_.fold(2))) {
    RandomStream stream(key_.fold(3));
    for (size_t i = 0; i < batch_.masked.size(); ++i)
      codes_.push_back(stream.integer(o.model.codes));
    backward(loss());
  }

  nn::NamedParameters parameters() const { return model_.named_parameters(); }

  /// Adds what the differences say, along `direction`, or of `element` where that is not -1.
  void compare(const nn::Field& p, const Tensor& direction, int64_t element,
               ParameterCheck& check) const {
    const Tensor base = clone(p.tensor.detach()), slope = p.tensor.grad();
    const bool alone = element >= 0;
    const double centre = alone ? base.data<double>()[element] : 0;
    const double h = std::pow(kEps, 0.2) * std::max(1.0, std::fabs(centre));
    const NoGrad silent;
    auto at = [&](double distance) {
      if (alone) {
        p.tensor.data<double>()[element] = centre + distance;
        p.tensor.mark_changed("gradcheck");
      } else {
        copy_into(base + direction * distance, p.tensor);
      }
      return loss().item<double>();
    };
    const double near = at(h) - at(-h), far = at(2 * h) - at(-2 * h);
    const double size = std::fabs(at(0));
    const double three = near / (2 * h), numeric = (8 * near - far) / (12 * h);
    double analytic = 0;
    if (slope.defined()) {
      analytic = alone ? slope.contiguous().data<double>()[element]
                       : sum(slope * direction).item<double>();
    }
    const double tolerance = 64 * kEps * (std::max(size, 1.0) + std::fabs(numeric)) / h +
                             1e-3 * std::fabs(numeric - three);
    const double error = std::fabs(analytic - numeric) / tolerance;
    ++check.cases;
    if (check.cases > 1 && error <= check.worst) return;
    check.worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
    check.where = alone ? place_of(p, element) : p.name + ", a direction";
    check.analytic = analytic;
    check.numeric = numeric;
    check.tolerance = tolerance;
  }

 private:
  Tensor loss() const {
    const PartSizes whole{batch_.image_patches, batch_.pair_patches, batch_.pair_words,
                          batch_.text_words};
    const Pass pass{.training = true, .key = key_.fold(4)};
    return masked_data_modelling(model_, batch_, whole, codes_, {}, pass).loss;
  }

  ModelConfig config_;
  RandomKey key_;
  PretrainModel model_;
  PretrainBatch batch_;
  std::vector<int64_t> codes_;
};

/// A random element of the parameter; one that the loss depends on, if a few draws find one (most
/// rows of an embedding are not used).
int64_t drawn_element(RandomStream& stream, const nn::Field& field) {
  const auto [first, count] = elements_of(field);
  int64_t element = first + stream.integer(count);
  if (!field.tensor.grad().defined()) return element;
  const Tensor gradient = field.tensor.grad().contiguous();
  for (int tries = 0; tries < 1000 && gradient.data<double>()[element] == 0; ++tries) {
    element = first + stream.integer(count);
  }
  return element;
}

}  // namespace

ModelConfig smallest_model(Form form) {
  ModelConfig config;
  config.name = "smallest";
  config.form = form;
  config.vl_layers = 1;
  config.width = 16;
  config.layers = 2;
  config.heads = 2;
  config.ffn = 32;
  config.image_size = 8;
  config.patch = 4;
  config.text_rows = 24;
  config.codes = 12;
  config.text_positions = 16;
  config.drop_path = 0.1;
  return config;
}

std::vector<ParameterCheck> check_model(const ModelCheckOptions& options,
                                        const std::function<void(int64_t, int64_t)>& done) {
  validate(options.model);
  const LossAround loss(options);
  std::vector<nn::Field> chosen;
  for (const nn::NamedParameter& p : loss.parameters()) {
    for (const nn::Field& field : p.slices) {
      if (field.name.find(options.module) != std::string::npos) chosen.push_back(field);
    }
  }
  check<ValueError>(!chosen.empty(),
                    "gradcheck: no parameter's name holds \"{}\"; `beit3 inspect` of a model lists "
                    "them, encoder.layers.0.self_attn for one",
                    options.module);
  std::vector<ParameterCheck> all;
  for (const nn::Field& field : chosen) {
    ParameterCheck check;
    check.name = field.name;
    const RandomKey key = RandomKey{options.seed}.fold(100 + all.size());
    RandomStream stream(key);
    for (int64_t i = 0; i < options.elements; ++i) {
      loss.compare(field, {}, drawn_element(stream, field), check);
    }
    for (int64_t i = 0; i < options.directions; ++i) {
      loss.compare(field, direction_through(field, key.fold(static_cast<uint64_t>(i))), -1, check);
    }
    all.push_back(std::move(check));
    done(static_cast<int64_t>(all.size()), static_cast<int64_t>(chosen.size()));
  }
  return all;
}

}  // namespace tessera::beit3::cli
