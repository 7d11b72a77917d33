#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "beit3/image/image.h"
#include "beit3/image/resize.h"
#include "tensor/base/rng.h"

namespace tessera::beit3 {

/// A rectangle of whole pixels.
struct CropBox {
  int64_t top = 0, left = 0, height = 0, width = 0;
  bool operator==(const CropBox&) const = default;
};

/// Draws the rectangle of a random resized crop: up to ten times an area of U(min_scale, max_scale)
/// of the picture and an aspect (width over height) log-uniform in (min_ratio, max_ratio), sides
/// rounded half to even, the first that fits at a uniform place; else the largest central rectangle
/// whose aspect lies in the range.
/// Source: Szegedy et al., "Going deeper with convolutions", arXiv:1409.4842; the details are
/// torchvision's.
CropBox random_crop_box(int64_t height, int64_t width, double min_scale, double max_scale,
                        double min_ratio, double max_ratio, RandomKey key);

/// Strengths of colour changes; each factor is drawn from U(max(0, 1 - s), 1 + s), and the changes
/// are made in a drawn order. 0 leaves that property alone.
struct ColourJitter {
  double brightness = 0, contrast = 0, saturation = 0;
};

/// Pillow's ImageEnhance: a blend in 8 bits with black, with the mean grey, with the grey picture.
Image adjust_brightness(const Image& image, double factor);
Image adjust_contrast(const Image& image, double factor);
Image adjust_saturation(const Image& image, double factor);

/// Applies a drawn colour jitter.
Image jitter_colours(const Image& image, const ColourJitter& jitter, RandomKey key);

/// How the picture is brought to side x side pixels.
enum class Framing {
  random_crop,  // random_crop_box, then resize: for training
  stretch,      // the whole picture, its aspect not kept: evaluation of every task but ImageNet
  center_crop,  // shorter side to `side`, then the middle: evaluation on ImageNet
};

/// Mean and standard deviation a colour channel, for values in [0, 1].
struct Normalisation {
  std::array<float, 3> mean{0.5f, 0.5f, 0.5f}, std{0.5f, 0.5f, 0.5f};
};

/// 0.5 / 0.5, every BEiT-3 task but ImageNet: values in [-1, 1].
inline constexpr Normalisation kInception{};
/// Statistics of ImageNet, for classification there.
inline constexpr Normalisation kImageNet{{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};
/// Leaves values in [0, 1].
inline constexpr Normalisation kUnit{{0, 0, 0}, {1, 1, 1}};

/// Everything that decides how a picture becomes an input.
///
/// The defaults are the training transform of BEiT-3's tasks other than ImageNet. A flip exchanges
/// left and right: set flip_probability to 0 where captions speak of sides.
struct AugmentSpec {
  int64_t side = 224;
  Framing framing = Framing::random_crop;
  double min_scale = 0.5, max_scale = 1.0;
  double min_ratio = 3.0 / 4, max_ratio = 4.0 / 3;
  double flip_probability = 0.5;
  ColourJitter jitter{};
  Filter filter = Filter::bicubic;
  Normalisation normalisation = kInception;
  /// Side of a second view of the same crop in [0, 1], for the image tokenizer; 0: none.
  int64_t second_side = 0;
  Filter second_filter = Filter::bicubic;
};

/// What the model and the tokenizer see of one picture.
struct AugmentedView {
  int64_t side = 0, second_side = 0;
  std::vector<float> pixels;         // (3, side, side), normalised
  std::vector<float> second_pixels;  // (3, second_side, second_side), in [0, 1]; maybe empty
  CropBox box;                       // in the picture, after the flip
  bool flipped = false;
};

/// Colour jitter, flip, crop and resize, normalisation, in this order; a pure function of picture,
/// spec and key. With Framing::stretch or center_crop, no jitter and flip_probability 0 the key
/// does not matter. Throws ValueError for an empty picture or a spec out of range.
/// Source of the order: the pretraining data of BEiT, arXiv:2106.08254.
AugmentedView augment(const Image& image, const AugmentSpec& spec, RandomKey key);

/// (3, height, width) floats: (value / 255 - mean) / std.
std::vector<float> to_floats(const Image& image, const Normalisation& normalisation = kUnit);

/// The inverse, rounded and clipped to 0 ... 255. `pixels` points to 3 x height x width floats.
Image from_floats(const float* pixels, int64_t height, int64_t width,
                  const Normalisation& normalisation = kUnit);

}  // namespace tessera::beit3
