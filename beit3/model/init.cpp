#include "beit3/model/init.h"

#include <cmath>
#include <numbers>
#include <string>
#include <string_view>

#include "beit3/model/parts.h"
#include "tensor/ops/cast.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/random.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {
namespace {

/// A key from a name: FNV-1a.
RandomKey key_of(RandomKey key, std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return key.fold(hash);
}

bool has(std::string_view name, std::string_view part) {
  return name.find(part) != std::string_view::npos;
}
bool ends(std::string_view name, std::string_view part) { return name.ends_with(part); }

/// 1-based number of the layer that a name belongs to; 0: none.
int64_t layer_of(std::string_view name) {
  constexpr std::string_view kLayers = "layers.";
  const size_t at = name.find(kLayers);
  return at == std::string_view::npos
             ? 0
             : std::stoll(std::string(name.substr(at + kLayers.size()))) + 1;
}

/// Size of one input of a matrix: the product of all axes but the first.
double fan_in(const Tensor& w) {
  return static_cast<double>(w.numel()) / static_cast<double>(std::max<int64_t>(w.size(0), 1));
}

/// The output matrices of the residual branches, which shrink with depth.
double depth_factor(std::string_view name) {
  const bool output = has(name, "out_proj.") || has(name, "fc2.");
  return output ? 1 / std::sqrt(2.0 * static_cast<double>(layer_of(name))) : 1;
}

Tensor scaled(std::string_view name, const Tensor& p, RandomKey key) {
  auto gauss = [&](double std) { return normal(p.shape(), key, p.options()) * std; };
  if (has(name, "text_embed") || has(name, "embed_positions.B")) return gauss(1);
  if (has(name, "_head.")) return gauss(0.02);
  if (has(name, "_token")) return zeros(p.shape(), p.options());
  // Patches are dark and flat against what a unit weight is made for: a picture has to be heard
  // beside its positions, above all in the mean over all patches that a word sees at first.
  if (has(name, "vision_embed")) return gauss(4 / std::sqrt(fan_in(p)));
  return gauss(depth_factor(name) / std::sqrt(fan_in(p)));
}

Tensor paper(std::string_view name, const Tensor& p, RandomKey key) {
  return truncated_normal(p.shape(), key, 0.02, 1, p.options()) * depth_factor(name);
}

Tensor official(std::string_view name, const Tensor& p, RandomKey key) {
  if (has(name, "text_embed")) {
    return normal(p.shape(), key, p.options()) * (1 / std::sqrt(static_cast<double>(p.size(1))));
  }
  if (has(name, "embed_positions")) return normal(p.shape(), key, p.options());
  if (has(name, "_token")) return zeros(p.shape(), p.options());
  if (has(name, "vision_embed.proj")) {
    const double bound = 1 / std::sqrt(fan_in(p));
    return uniform(p.shape(), key, p.options(), -bound, bound);
  }
  return truncated_normal(p.shape(), key, 0.02, 1, p.options());
}

}  // namespace

Tensor grid_sines(int64_t grid, int64_t width, double std) {
  check<ValueError>(width % 4 == 0, "grid_sines: width {} is no multiple of 4", width);
  const int64_t frequencies = width / 4;
  std::vector<double> table;
  for (int64_t y = 0; y < grid; ++y) {
    for (int64_t x = 0; x < grid; ++x) {
      for (const int64_t place : {y, x}) {
        for (int64_t f = 0; f < frequencies; ++f) {
          const double t =
              frequencies > 1 ? static_cast<double>(f) / static_cast<double>(frequencies - 1) : 0;
          const double angle =
              2 * std::numbers::pi * static_cast<double>(place) / (6 * std::pow(32.0 / 6, t));
          table.push_back(std::sin(angle));
          table.push_back(std::cos(angle));
        }
      }
    }
  }
  const Tensor all = from_data(table, {grid * grid, width});
  const Tensor centred = all - mean(all, {0}, KeepDims::yes);
  const double deviation = std::sqrt(mean(centred * centred).item<double>());
  return deviation > 0 ? centred * (std / deviation) : centred;  // a single patch has no place
}

void initialise(PretrainModel& model, RandomKey key) {
  const ModelConfig& config = model.config();
  for (const auto& [name, p] : model.state()) {
    Tensor value;
    const bool bias = ends(name, ".bias");
    if (belongs_to_norm(name)) {
      value = bias ? zeros(p.shape(), p.options()) : ones(p.shape(), p.options());
    } else if (bias && !(config.init == Init::official && has(name, "vision_embed"))) {
      value = zeros(p.shape(), p.options());
    } else if (config.init == Init::scaled) {
      value = scaled(name, p, key_of(key, name));
    } else if (config.init == Init::paper) {
      value = paper(name, p, key_of(key, name));
    } else {
      value = official(name, p, key_of(key, name));
    }
    copy_into(value, p);
  }
  if (config.init != Init::scaled) return;
  if (config.width % 4 == 0) {
    const Tensor& table = model.beit3.encoder.embed_positions[0];
    fill_(table.detach(), 0);
    copy_into(grid_sines(config.grid(), config.width, 1),
              slice(table.detach(), 0, kFirstPosition + 1, table.size(0)));
  }
  for (const EncoderLayer& layer : model.beit3.encoder.layers) {
    const Tensor qkv = layer.self_attn.qkv_weight[0].detach();
    copy_into(slice(qkv, 0, 0, config.width), slice(qkv, 0, config.width, 2 * config.width));
  }
}

}  // namespace tessera::beit3
