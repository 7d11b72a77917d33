#include "beit3/trust/parity.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include <nlohmann/json.hpp>

#include "autograd/autograd.h"
#include "beit3/model/model.h"
#include "nn/io/safetensors.h"
#include "nn/state_dict.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/index.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

Json read_manifest(const fs::path& folder) {
  const fs::path path = folder / "manifest.json";
  std::ifstream in(path, std::ios::binary);
  check<IoError>(in.good(), "parity: {} cannot be opened; the folder needs a manifest.json",
                 path.string());
  Json json = Json::parse(in, nullptr, false);
  check<IoError>(json.is_object() && json.contains("config") && json.contains("cases"),
                 "parity: {} is no manifest: expected an object with \"config\" and \"cases\"",
                 path.string());
  return json;
}

ModelConfig config_of(const Json& manifest) {
  const Json& c = manifest.at("config");
  auto number = [&](const char* key) {
    check<IoError>(c.contains(key) && c[key].is_number_integer(),
                   "parity: the manifest's config has no whole number \"{}\"", key);
    return c[key].get<int64_t>();
  };
  ModelConfig config;
  config.name = "recorded";
  config.width = number("dim");
  config.layers = number("layers");
  config.heads = number("heads");
  config.ffn = config.width * number("mlp");
  config.image_size = number("img");
  config.patch = number("patch");
  config.text_rows = number("vocab");
  return config;
}

/// "*" stands for any text.
bool matches(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] != '*') {
    return !text.empty() && pattern[0] == text[0] && matches(pattern.substr(1), text.substr(1));
  }
  for (size_t i = 0; i <= text.size(); ++i) {
    if (matches(pattern.substr(1), text.substr(i))) return true;
  }
  return false;
}

Comparison compare(std::string name, const Tensor& ours, const Tensor& recorded, double tolerance) {
  check<ShapeError>(ours.numel() == recorded.numel(), "parity: {} is {} here, but {} in the record",
                    name, ours.shape(), recorded.shape());
  const std::vector<double> a = ours.to_vector<double>(), b = recorded.to_vector<double>();
  Comparison c{std::move(name), 0, 0, tolerance};
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::fabs(a[i] - b[i]);
    c.max_difference = std::max(c.max_difference, std::isnan(difference) ? INFINITY : difference);
    c.scale = std::max(c.scale, std::fabs(b[i]));
  }
  return c;
}

/// One encoder case: the packed pass, beside the reference's padded one.
class EncoderCase {
 public:
  EncoderCase(const ModelConfig& config, const fs::path& folder, std::string name,
              const ParityOptions& options)
      : options_(options),
        record_(nn::load_safetensors((folder / (name + ".safetensors")).string()).tensors),
        model_(with_positions(config, folder)) {
    report_.name = std::move(name);
    nn::load_state(model_, nn::without_prefix(weights_, "beit3."));
  }

  CaseReport run() {
    build_input();
    EncoderTrace trace;
    const Tensor out = model_(input_, {}, nullptr, &trace);
    const Tensor padded = index_select(out, reference_rows_, 0);
    const Tensor cotangent = reshape_like_rows(at("output.cotangent"));
    const Tensor loss = sum(padded * cotangent);
    backward(loss);
    for (size_t i = 0; i < trace.hidden.size(); ++i) {
      const std::string layer = "hidden.layer" + std::to_string(i);
      add(layer + ".attn", index_select(trace.attention[i], reference_rows_, 0));
      add(layer, index_select(trace.hidden[i], reference_rows_, 0));
    }
    add("output.encoder_out", padded);
    Comparison total = compare("loss", loss, at("loss"), options_.tolerance);
    // A sum that cancels: its error is that of its terms.
    total.scale = std::max(total.scale, sum(abs(padded * cotangent)).item<double>());
    report_.tensors.push_back(total);
    compare_gradients();
    return std::move(report_);
  }

 private:
  Beit3 with_positions(ModelConfig config, const fs::path& folder) {
    weights_ = nn::load_safetensors((folder / "encoder.weights.safetensors").string()).tensors;
    const auto table = weights_.find("beit3.encoder.embed_positions.B.weight");
    check<IoError>(table != weights_.end(), "parity: the weights hold no text position table");
    config.text_positions = table->second.size(0);
    return Beit3(config);
  }

  bool has(const std::string& key) const { return record_.contains(key); }
  const Tensor& at(const std::string& key) const {
    const auto found = record_.find(key);
    check<IoError>(found != record_.end(), "parity: case {} holds no tensor \"{}\"", report_.name,
                   key);
    return found->second;
  }

  Tensor reshape_like_rows(const Tensor& x) const {
    return from_data(x.to_vector<float>(), {reference_rows_.numel(), model_.config.width});
  }

  void build_input() {
    const bool vision = has("input.visual_tokens"), text = has("input.textual_tokens");
    const int64_t batch =
        vision ? at("input.visual_tokens").size(0) : at("input.textual_tokens").size(0);
    const int64_t length = text ? at("input.textual_tokens").size(1) : 0;
    std::vector<int64_t> lengths(text ? static_cast<size_t>(batch) : 0, length), padding;
    if (text) {
      const std::vector<int64_t> pad = at("input.text_padding_position").to_vector<int64_t>();
      for (int64_t b = 0; b < batch; ++b) {
        padding.push_back(std::count(pad.begin() + b * length, pad.begin() + (b + 1) * length, 1));
      }
      input_.ids = from_data(at("input.textual_tokens").to_vector<int64_t>(), {batch * length});
    }
    const bool pair = vision && text;
    input_.layout =
        PackedLayout(vision && !text ? batch : 0, pair ? lengths : std::vector<int64_t>{},
                     pair ? std::vector<int64_t>{} : lengths, model_.config.image_rows(), padding);
    if (vision) input_.images = at("input.visual_tokens");
    if (has("input.vision_masked_position")) {
      const Tensor& masked = at("input.vision_masked_position");
      input_.masked = reshape(masked.to(DType::boolean), {masked.numel()});
    }
    std::vector<int64_t> rows;
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t t = 0; vision && t < model_.config.image_rows(); ++t) {
        rows.push_back(input_.layout.image_begin(b) + t);
      }
      for (int64_t t = 0; t < length; ++t) rows.push_back(input_.layout.text_begin(b) + t);
    }
    reference_rows_ = from_data(rows, {static_cast<int64_t>(rows.size())});
  }

  void add(const std::string& name, const Tensor& ours) {
    if (has(name)) report_.tensors.push_back(compare(name, ours, at(name), options_.tolerance));
  }

  void compare_gradients() {
    for (const nn::Field& field : model_.list_fields()) {
      const std::string name = "grad.beit3." + field.name;
      if (!has(name)) continue;
      const Tensor whole = field.tensor.grad();
      check<IoError>(whole.defined(), "parity: {} has a recorded gradient, but none here",
                     field.name);
      const Tensor own = field.whole() ? whole : slice(whole, 0, field.begin, field.end);
      Comparison c = compare(name, own, at(name), options_.tolerance);
      // Keys' biases move all scores of a query alike where one branch holds all keys: their
      // gradient is rounding noise around zero, held against that of the queries.
      const size_t key = name.find("k_proj");
      if (key != std::string::npos && name.ends_with(".bias")) {
        std::string query = name;
        query.replace(key, 6, "q_proj");
        if (has(query)) {
          c.scale = std::max(c.scale, max(abs(at(query))).item<double>());
        }
      }
      report_.tensors.push_back(c);
    }
  }

  ParityOptions options_;
  nn::StateDict record_, weights_;
  Beit3 model_;
  CaseReport report_;
  PackedInput input_;
  Tensor reference_rows_;
};

}  // namespace

bool CaseReport::ok() const { return first_difference() == nullptr; }

const Comparison* CaseReport::first_difference() const {
  for (const Comparison& c : tensors) {
    if (!c.ok()) return &c;
  }
  return nullptr;
}

const Comparison* CaseReport::worst() const {
  const auto found = std::max_element(
      tensors.begin(), tensors.end(),
      [](const Comparison& a, const Comparison& b) { return a.relative() < b.relative(); });
  return found == tensors.end() ? nullptr : &*found;
}

std::vector<std::string> parity_cases(const fs::path& folder) {
  std::vector<std::string> names;
  const Json manifest = read_manifest(folder);
  for (const auto& [name, value] : manifest.at("cases").items()) {
    if (name.starts_with("encoder-")) names.push_back(name);
  }
  return names;
}

std::vector<CaseReport> run_parity(const fs::path& folder, const std::vector<std::string>& cases,
                                   const ParityOptions& options) {
  check<ValueError>(options.dtype == DType::f32, "parity: dtype {} is not supported yet; use f32",
                    options.dtype);
  const ModelConfig config = config_of(read_manifest(folder));
  std::vector<CaseReport> reports;
  const std::vector<std::string> known = parity_cases(folder);
  for (const std::string& pattern : cases.empty() ? std::vector<std::string>{"*"} : cases) {
    bool any = false;
    for (const std::string& name : known) {
      if (!matches(pattern, name)) continue;
      any = true;
      reports.push_back(EncoderCase(config, folder, name, options).run());
    }
    check<ValueError>(any,
                      "parity: no case matches \"{}\"; of {}, those named encoder-* can be run",
                      pattern, folder.string());
  }
  return reports;
}

}  // namespace tessera::beit3
