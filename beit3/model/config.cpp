#include "beit3/model/config.h"

#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

struct Preset {
  const char* name;
  int64_t width, layers, heads, image_size, patch;
  int64_t ffn = 4 * width;  // mlp_ratio 4
  Form form = Form::released;
  Init init = Init::scaled;
};

constexpr Preset kPresets[] = {
    {"nano", 96, 4, 4, 64, 8},         // for a demonstration of minutes on two cores
    {"micro", 192, 6, 6, 64, 8},       //
    {"tiny", 192, 12, 3, 224, 16},     // DeiT-tiny's sizes (arXiv:2012.12877)
    {"small", 384, 12, 6, 224, 16},    // DeiT-small's
    {"base", 768, 12, 12, 224, 16},    // unilm beit3, _get_base_config
    {"large", 1024, 24, 16, 224, 16},  // unilm beit3, _get_large_config
    {"giant", 1408, 40, 16, 224, 14, 6144, Form::paper, Init::paper},  // arXiv:2208.10442, table 2
};

}  // namespace

ModelConfig model_preset(std::string_view name) {
  std::string known;
  for (const Preset& p : kPresets) {
    if (name == p.name) {
      ModelConfig c;
      c.name = p.name;
      c.width = p.width;
      c.layers = p.layers;
      c.heads = p.heads;
      c.ffn = p.ffn;
      c.image_size = p.image_size;
      c.patch = p.patch;
      c.form = p.form;
      c.init = p.init;
      return c;
    }
    known += known.empty() ? p.name : std::string(", ") + p.name;
  }
  fail<ValueError>("model preset \"{}\" is unknown; there are {}", name, known);
}

std::vector<std::string> model_preset_names() {
  std::vector<std::string> names;
  for (const Preset& p : kPresets) names.emplace_back(p.name);
  return names;
}

void validate(const ModelConfig& c) {
  auto positive = [](std::string_view field, int64_t value) {
    check<ValueError>(value >= 1, "model.{} is {}; it must be at least 1", field, value);
  };
  positive("width", c.width);
  positive("layers", c.layers);
  positive("heads", c.heads);
  positive("ffn", c.ffn);
  positive("patch", c.patch);
  positive("image_size", c.image_size);
  positive("codes", c.codes);
  check<ValueError>(c.width % c.heads == 0, "model.width {} is no multiple of model.heads {}",
                    c.width, c.heads);
  check<ValueError>(c.image_size % c.patch == 0,
                    "model.image_size {} is no multiple of model.patch {}", c.image_size, c.patch);
  check<ValueError>(c.text_rows >= 5, "model.text_rows is {}; the special ids alone need 5",
                    c.text_rows);
  check<ValueError>(c.text_positions > kFirstPosition,
                    "model.text_positions is {}; rows 0 and 1 are never used", c.text_positions);
  check<ValueError>(c.form != Form::paper || (c.vl_layers >= 0 && c.vl_layers <= c.layers),
                    "model.vl_layers is {}; a model of {} layers has 0 … {}", c.vl_layers, c.layers,
                    c.layers);
  check<ValueError>(c.norm_eps > 0, "model.norm_eps is {}; it must be positive", c.norm_eps);
  check<ValueError>(c.drop_path >= 0 && c.drop_path < 1, "model.drop_path is {}; expected 0 … 1",
                    c.drop_path);
}

std::string_view to_string(Init init) {
  switch (init) {
    case Init::scaled:
      return "scaled";
    case Init::paper:
      return "paper";
    case Init::official:
      return "official";
  }
  return "?";
}

std::string_view to_string(Form form) { return form == Form::paper ? "paper" : "released"; }

Form form_from(std::string_view word) {
  for (Form form : {Form::released, Form::paper}) {
    if (word == to_string(form)) return form;
  }
  fail<ValueError>("model.form is \"{}\"; expected released or paper", word);
}

Init init_from(std::string_view word) {
  for (Init init : {Init::scaled, Init::paper, Init::official}) {
    if (word == to_string(init)) return init;
  }
  fail<ValueError>("model.init is \"{}\"; expected scaled, paper or official", word);
}

}  // namespace tessera::beit3
