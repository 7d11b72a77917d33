#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::beit3 {

/// What the decoder is taught to say of each patch.
enum class VqkdTarget {
  pixels,    ///< pixels, directions of edges and mean colour: no teacher is needed
  features,  ///< what another model says of the patch, read from a file
};

/// Sizes of an image tokenizer. The defaults are those of the drawn world, found by experiment.
struct VqkdConfig {
  int64_t image_size = 64, patch = 8;
  int64_t width = 64, heads = 4, encoder_layers = 2;
  int64_t decoder_layers = 1;
  int64_t decoder_width = 0, decoder_heads = 0;  ///< 0: those of the encoder
  int64_t codes = 128, code_width = 16;
  VqkdTarget target = VqkdTarget::pixels;
  int64_t target_width = 0;  ///< 0: that of the teacher-free target
  bool pixel_head = true;    ///< a head beside the others that makes pictures; published ones: none
  double norm_eps = 1e-6;

  int64_t grid() const { return image_size / patch; }
  int64_t patches() const { return grid() * grid(); }
  friend bool operator==(const VqkdConfig&, const VqkdConfig&) = default;
};

/// The published sizes (BEiT v2): ViT-B/16 of 224 pixels, 8192 codes of 32 channels.
/// clip-1 and clip-3: a decoder of 1 or 3 layers, features of CLIP ViT-B/16; dino-1: of DINO.
/// Throws ValueError, listing the names, for another.
VqkdConfig published_vqkd(std::string_view name);

/// The configuration with every 0 that stands for a default replaced. Throws ValueError, naming
/// the field, unless the sizes fit together.
VqkdConfig complete(VqkdConfig config);

/// Parameters without biases, norms and the like: fewer than there are.
int64_t least_parameters(const VqkdConfig& config);

/// JSON, complete and in fixed order.
std::string to_json(const VqkdConfig& config);
/// The reverse; `what` (a file) begins the messages. Throws IoError for malformed text, a missing
/// or unknown field, or sizes that do not fit together.
VqkdConfig vqkd_config_from_json(std::string_view json, std::string_view what);

}  // namespace tessera::beit3
