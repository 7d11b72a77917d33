#include <algorithm>

#include "beit3/trust/padded_internal.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/index.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {

Tensor PaddedInput::official_order(const Tensor& packed) const {
  return index_select(packed, rows, 0);
}

std::vector<int64_t> padding_lengths(const Tensor& padding) {
  const int64_t length = padding.size(1);
  const std::vector<int64_t> pad = padding.to_vector<int64_t>();
  std::vector<int64_t> lengths;
  for (int64_t b = 0; b < padding.size(0); ++b) {
    const auto begin = pad.begin() + b * length, end = begin + length;
    lengths.push_back(std::count(begin, end, 1));
    check<IoError>(std::is_sorted(begin, end), "parity: text {} has padding before its end", b);
  }
  return lengths;
}

PaddedInput padded_input(const ModelConfig& config, const Tensor& pixels, const Tensor& masked,
                         const Tensor& ids, const Tensor& padding) {
  const bool vision = pixels.defined(), text = ids.defined();
  const int64_t batch = vision ? pixels.size(0) : ids.size(0);
  const int64_t length = text ? ids.size(1) : 0;
  const std::vector<int64_t> lengths(text ? static_cast<size_t>(batch) : 0, length), none;
  PaddedInput p;
  p.input.layout =
      PackedLayout(vision && !text ? batch : 0, vision ? lengths : none, vision ? none : lengths,
                   config.image_rows(), text ? padding_lengths(padding) : none);
  if (vision) p.input.images = pixels;
  if (masked.defined()) {
    p.input.masked = reshape(masked.to(DType::boolean), {masked.numel()});
  }
  if (text) p.input.ids = reshape(ids, {batch * length});
  std::vector<int64_t> rows;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t t = 0; vision && t < config.image_rows(); ++t) {
      rows.push_back(p.input.layout.image_begin(b) + t);
    }
    for (int64_t t = 0; t < length; ++t) rows.push_back(p.input.layout.text_begin(b) + t);
  }
  p.rows = from_data(rows, {static_cast<int64_t>(rows.size())});
  return p;
}

ModelConfig recorded_model(const RecordedFolder& folder, const nn::StateDict& weights) {
  const auto table = weights.find("beit3.encoder.embed_positions.B.weight");
  check<IoError>(table != weights.end() && table->second.rank() == 2,
                 "parity: the weights hold no table of text positions");
  ModelConfig config;
  config.name = "recorded";
  if (folder.manifest().at("config").contains("form")) {
    config.form = form_from(field<std::string>(folder.manifest().at("config"), "form"));
    config.vl_layers = folder.size("vl_layers");
  }
  config.width = folder.size("dim");
  config.layers = folder.size("layers");
  config.heads = folder.size("heads");
  config.ffn = config.width * folder.size("mlp");
  config.image_size = folder.size("img");
  config.patch = folder.size("patch");
  config.text_rows = folder.size("vocab");
  config.text_positions = table->second.size(0);
  validate(config);
  return config;
}

void compare_gradients(RecordedCase& c, const nn::Module& module, const std::string& prefix,
                       const std::string& title) {
  for (const nn::Field& field : module.list_fields()) {
    const std::string name = "grad." + prefix + field.name;
    if (!c.has(name)) continue;
    const Tensor whole = field.tensor.grad();
    check<IoError>(whole.defined(), "parity: {} has a recorded gradient, but none here",
                   field.name);
    // Keys' biases move all scores of a query alike where one branch holds all keys: their
    // gradient is rounding noise around zero, held against that of the queries.
    double least_scale = 0;
    const size_t key = name.find("k_proj");
    if (key != std::string::npos && name.ends_with(".bias")) {
      std::string query = name;
      query.replace(key, 6, "q_proj");
      if (c.has(query)) least_scale = max(abs(c.at(query))).item<double>();
    }
    c.compare_with(title + name, c.at(name),
                   field.whole() ? whole : slice(whole, 0, field.begin, field.end), least_scale);
  }
}

}  // namespace tessera::beit3
