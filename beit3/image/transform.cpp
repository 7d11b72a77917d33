#include "beit3/image/transform.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

// Sub-streams of the key of one picture.
constexpr uint64_t kJitterStream = 0, kFlipStream = 1, kCropStream = 2;

int64_t rounded(double value) { return static_cast<int64_t>(std::nearbyint(value)); }

/// Luma in 16-bit fixed point, ITU-R 601, as Pillow turns RGB to grey.
int grey_of(const uint8_t* p) { return (p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16; }

/// from + factor (to - from) in single precision, cut to a byte as Pillow's blend does.
uint8_t blend(int from, int to, float factor) {
  const float value =
      static_cast<float>(from) + factor * (static_cast<float>(to) - static_cast<float>(from));
  return value <= 0 ? 0 : value >= 255 ? 255 : static_cast<uint8_t>(value);
}

/// (top-left, size) of the crop that a framing other than random_crop makes.
CropBox whole(const Image& image) { return {0, 0, image.height, image.width}; }

Image center_crop_resized(const Image& image, int64_t side, Filter filter, CropBox& box) {
  const int64_t shorter = std::min(image.height, image.width);
  // torchvision: the longer side is cut, not rounded.
  const int64_t height = image.height == shorter ? side : side * image.height / shorter;
  const int64_t width = image.width == shorter ? side : side * image.width / shorter;
  const Image resized = resize(image, height, width, filter);
  const int64_t top = rounded(static_cast<double>(height - side) / 2);
  const int64_t left = rounded(static_cast<double>(width - side) / 2);
  box = {top * shorter / side, left * shorter / side, shorter, shorter};
  return crop(resized, top, left, side, side);
}

Image framed(const Image& image, const AugmentSpec& spec, int64_t side, Filter filter,
             CropBox& box) {
  if (spec.framing == Framing::center_crop) return center_crop_resized(image, side, filter, box);
  if (box == whole(image)) return resize(image, side, side, filter);
  // Cut first: the kernel must not see pixels beyond the crop (torchvision's resized_crop).
  return resize(crop(image, box.top, box.left, box.height, box.width), side, side, filter);
}

void check_spec(const AugmentSpec& spec) {
  check<ValueError>(spec.side > 0 && spec.second_side >= 0,
                    "augment: side is {} and second_side {}; expected > 0 and >= 0", spec.side,
                    spec.second_side);
  check<ValueError>(spec.min_scale > 0 && spec.min_scale <= spec.max_scale && spec.max_scale <= 1,
                    "augment: crop scale is {} to {}; expected 0 < min <= max <= 1", spec.min_scale,
                    spec.max_scale);
  check<ValueError>(spec.min_ratio > 0 && spec.min_ratio <= spec.max_ratio,
                    "augment: crop ratio is {} to {}; expected 0 < min <= max", spec.min_ratio,
                    spec.max_ratio);
  check<ValueError>(spec.flip_probability >= 0 && spec.flip_probability <= 1,
                    "augment: flip_probability is {}; expected 0 to 1", spec.flip_probability);
  for (const float s : spec.normalisation.std) {
    check<ValueError>(s > 0, "augment: a standard deviation is {}; expected > 0", s);
  }
}

}  // namespace

CropBox random_crop_box(int64_t height, int64_t width, double min_scale, double max_scale,
                        double min_ratio, double max_ratio, RandomKey key) {
  check<ValueError>(height > 0 && width > 0, "random_crop_box: the picture is {} x {}", height,
                    width);
  RandomStream random(key);
  const double area = static_cast<double>(height) * static_cast<double>(width);
  const double low = std::log(min_ratio), high = std::log(max_ratio);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target = area * random.uniform(min_scale, max_scale);
    const double ratio = std::exp(random.uniform(low, high));
    const int64_t w = rounded(std::sqrt(target * ratio)), h = rounded(std::sqrt(target / ratio));
    if (w > 0 && w <= width && h > 0 && h <= height) {
      const int64_t top = random.integer(height - h + 1);
      return {top, random.integer(width - w + 1), h, w};
    }
  }
  const double ratio = static_cast<double>(width) / static_cast<double>(height);
  int64_t h = height, w = width;
  if (ratio < min_ratio) {
    h = std::clamp<int64_t>(rounded(static_cast<double>(w) / min_ratio), 1, height);
  } else if (ratio > max_ratio) {
    w = std::clamp<int64_t>(rounded(static_cast<double>(h) * max_ratio), 1, width);
  }
  return {(height - h) / 2, (width - w) / 2, h, w};
}

Image adjust_brightness(const Image& image, double factor) {
  Image out = image;
  for (uint8_t& v : out.rgb) v = blend(0, v, static_cast<float>(factor));
  return out;
}

Image adjust_contrast(const Image& image, double factor) {
  if (image.rgb.empty()) return image;
  int64_t sum = 0;
  for (size_t i = 0; i < image.rgb.size(); i += 3) sum += grey_of(image.rgb.data() + i);
  const double pixels = static_cast<double>(image.rgb.size() / 3);
  const int mean = static_cast<int>(static_cast<double>(sum) / pixels + 0.5);
  Image out = image;
  for (uint8_t& v : out.rgb) v = blend(mean, v, static_cast<float>(factor));
  return out;
}

Image adjust_saturation(const Image& image, double factor) {
  Image out = image;
  for (size_t i = 0; i < out.rgb.size(); i += 3) {
    const int grey = grey_of(image.rgb.data() + i);
    for (size_t c = 0; c < 3; ++c) {
      out.rgb[i + c] = blend(grey, image.rgb[i + c], static_cast<float>(factor));
    }
  }
  return out;
}

Image jitter_colours(const Image& image, const ColourJitter& jitter, RandomKey key) {
  RandomStream random(key);
  const double strength[3] = {jitter.brightness, jitter.contrast, jitter.saturation};
  int order[3] = {0, 1, 2};
  for (int i = 2; i > 0; --i) std::swap(order[i], order[random.integer(i + 1)]);
  Image out = image;
  for (const int property : order) {
    const double s = strength[property];
    const double factor = random.uniform(std::max(0.0, 1 - s), 1 + s);
    if (s <= 0) continue;
    out = property == 0   ? adjust_brightness(out, factor)
          : property == 1 ? adjust_contrast(out, factor)
                          : adjust_saturation(out, factor);
  }
  return out;
}

AugmentedView augment(const Image& image, const AugmentSpec& spec, RandomKey key) {
  check_spec(spec);
  check<ValueError>(image.height > 0 && image.width > 0, "augment: the picture has no pixels");
  AugmentedView view;
  view.side = spec.side;
  view.second_side = spec.second_side;

  Image changed;  // only filled when something changes, to spare a copy
  const Image* source = &image;
  const ColourJitter& j = spec.jitter;
  if (j.brightness > 0 || j.contrast > 0 || j.saturation > 0) {
    changed = jitter_colours(image, j, key.fold(kJitterStream));
    source = &changed;
  }
  view.flipped = RandomStream(key.fold(kFlipStream)).chance(spec.flip_probability);
  if (view.flipped) {
    changed = flip_horizontal(*source);
    source = &changed;
  }
  view.box = spec.framing == Framing::random_crop
                 ? random_crop_box(image.height, image.width, spec.min_scale, spec.max_scale,
                                   spec.min_ratio, spec.max_ratio, key.fold(kCropStream))
                 : whole(image);
  CropBox box = view.box;
  view.pixels = to_floats(framed(*source, spec, spec.side, spec.filter, box), spec.normalisation);
  if (spec.second_side > 0) {
    CropBox same = view.box;
    view.second_pixels =
        to_floats(framed(*source, spec, spec.second_side, spec.second_filter, same));
  }
  view.box = box;
  return view;
}

std::vector<float> to_floats(const Image& image, const Normalisation& normalisation) {
  const size_t pixels = static_cast<size_t>(image.height * image.width);
  std::vector<float> out(3 * pixels);
  for (size_t c = 0; c < 3; ++c) {
    const float mean = normalisation.mean[c], inverse = 1.0f / normalisation.std[c];
    float* target = out.data() + c * pixels;
    const uint8_t* source = image.rgb.data() + c;
    for (size_t i = 0; i < pixels; ++i) {
      target[i] = (static_cast<float>(source[3 * i]) / 255.0f - mean) * inverse;
    }
  }
  return out;
}

Image from_floats(const float* pixels, int64_t height, int64_t width,
                  const Normalisation& normalisation) {
  Image image = make_image(height, width);
  const int64_t count = height * width;
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t c = 0; c < 3; ++c) {
      const size_t channel = static_cast<size_t>(c);
      const float value =
          pixels[c * count + i] * normalisation.std[channel] + normalisation.mean[channel];
      // Written so that a NaN becomes 0: converting it would be undefined.
      const float scaled = value > 0 ? std::min(value, 1.0f) * 255.0f : 0.0f;
      image.rgb[static_cast<size_t>(3 * i + c)] = static_cast<uint8_t>(std::lround(scaled));
    }
  }
  return image;
}

}  // namespace tessera::beit3
