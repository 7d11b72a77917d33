#include "beit3/vqkd/config.h"

#include "beit3/json/json.h"
#include "beit3/vqkd/targets.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

/// Files come from strangers: sizes beyond these are no tokenizers.
constexpr int64_t kLargestSize = 1 << 16;
constexpr int64_t kMostParameters = int64_t{1} << 32;

template <class C, class F>
void each_size(C& c, F&& f) {
  f("image_size", c.image_size);
  f("patch", c.patch);
  f("width", c.width);
  f("heads", c.heads);
  f("encoder_layers", c.encoder_layers);
  f("decoder_layers", c.decoder_layers);
  f("decoder_width", c.decoder_width);
  f("decoder_heads", c.decoder_heads);
  f("codes", c.codes);
  f("code_width", c.code_width);
  f("target_width", c.target_width);
}

constexpr std::string_view kPixels = "pixels", kFeatures = "features";

}  // namespace

VqkdConfig published_vqkd(std::string_view name) {
  VqkdConfig c{.image_size = 224,
               .patch = 16,
               .width = 768,
               .heads = 12,
               .encoder_layers = 12,
               .codes = 8192,
               .code_width = 32,
               .target = VqkdTarget::features,
               .target_width = 512,
               .pixel_head = false};
  if (name == "clip-1") return complete(c);
  if (name == "clip-3") c.decoder_layers = 3;
  if (name == "dino-1") c.target_width = 768;
  check<ValueError>(name == "clip-3" || name == "dino-1",
                    "published image tokenizer \"{}\" is unknown; there are clip-1, clip-3, dino-1",
                    name);
  return complete(c);
}

VqkdConfig complete(VqkdConfig c) {
  if (c.decoder_width == 0) c.decoder_width = c.width;
  if (c.decoder_heads == 0) c.decoder_heads = c.heads;
  each_size(c, [](std::string_view name, int64_t value) {
    const bool derived = name == "target_width" && value == 0;
    check<ValueError>(derived || (value >= 1 && value <= kLargestSize),
                      "image tokenizer: {} is {}; expected 1 … {}", name, value, kLargestSize);
  });
  check<ValueError>(c.codes >= 2, "image tokenizer: codes is {}; it must be at least 2", c.codes);
  check<ValueError>(c.image_size % c.patch == 0,
                    "image tokenizer: image_size {} is no multiple of patch {}", c.image_size,
                    c.patch);
  check<ValueError>(c.width % c.heads == 0, "image tokenizer: width {} is no multiple of heads {}",
                    c.width, c.heads);
  check<ValueError>(c.decoder_width % c.decoder_heads == 0,
                    "image tokenizer: decoder_width {} is no multiple of decoder_heads {}",
                    c.decoder_width, c.decoder_heads);
  check<ValueError>(c.norm_eps > 0, "image tokenizer: norm_eps is {}; it must be positive",
                    c.norm_eps);
  if (c.target == VqkdTarget::pixels) {
    const int64_t own = plain_target_width(c.patch);
    if (c.target_width == 0) c.target_width = own;
    check<ValueError>(c.target_width == own && c.patch >= 2,
                      "image tokenizer: target_width is {}, but the target without a teacher has "
                      "{} elements for a patch of {} pixels, which must be at least 2",
                      c.target_width, own, c.patch);
  }
  check<ValueError>(c.target_width > 0,
                    "image tokenizer: target_width is missing; give the width of the features");
  const int64_t parameters = least_parameters(c);
  check<ValueError>(parameters <= kMostParameters,
                    "image tokenizer: some {} parameters; at most {} are supported", parameters,
                    kMostParameters);
  return c;
}

int64_t least_parameters(const VqkdConfig& c) {
  const int64_t inputs = 3 * c.patch * c.patch;
  return c.width * (12 * c.width * c.encoder_layers + inputs + c.patches() + c.code_width) +
         c.decoder_width *
             (12 * c.decoder_width * c.decoder_layers + c.patches() + c.target_width) +
         2 * c.codes * c.code_width;
}

std::string to_json(const VqkdConfig& config) {
  const VqkdConfig c = complete(config);
  Json json;
  each_size(c, [&](const char* name, int64_t value) { json[name] = value; });
  json["target"] = c.target == VqkdTarget::pixels ? kPixels : kFeatures;
  json["pixel_head"] = c.pixel_head;
  json["norm_eps"] = c.norm_eps;
  return json_text(json);
}

VqkdConfig vqkd_config_from_json(std::string_view text, std::string_view what) {
  const Json json = try_parse_json(text);
  check<IoError>(json.is_object(), "{}: the configuration is no JSON object", what);
  VqkdConfig c;
  size_t known = 0;
  auto field = [&](const char* name) -> const Json& {
    const auto found = json.find(name);
    check<IoError>(found != json.end(), "{}: the configuration has no \"{}\"", what, name);
    ++known;
    return *found;
  };
  each_size(c, [&](const char* name, int64_t& value) {
    const Json& number = field(name);
    check<IoError>(number.is_number_integer(), "{}: \"{}\" is no whole number", what, name);
    value = number.get<int64_t>();
  });
  const Json& target = field("target");
  check<IoError>(target == kPixels || target == kFeatures,
                 "{}: \"target\" is neither \"pixels\" nor \"features\"", what);
  c.target = target == kPixels ? VqkdTarget::pixels : VqkdTarget::features;
  const Json &head = field("pixel_head"), &eps = field("norm_eps");
  check<IoError>(head.is_boolean() && eps.is_number(),
                 "{}: \"pixel_head\" must be true or false, \"norm_eps\" a number", what);
  c.pixel_head = head.get<bool>();
  c.norm_eps = eps.get<double>();
  check<IoError>(known == json.size(), "{}: the configuration has {} fields, {} are known", what,
                 json.size(), known);
  try {
    return complete(c);
  } catch (const ValueError& error) {
    fail<IoError>("{}: {}", what, error.what());
  }
}

}  // namespace tessera::beit3
