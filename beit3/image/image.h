#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tessera::beit3 {

/// A colour of an 8-bit picture.
struct Rgb {
  uint8_t r = 0, g = 0, b = 0;
  bool operator==(const Rgb&) const = default;
};

/// A picture in memory: `rgb` holds height x width x 3 bytes, rows from the top, channels last.
/// An image with no pixels has height = width = 0 and an empty `rgb`.
struct Image {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> rgb;

  bool operator==(const Image&) const = default;

  /// The three bytes of a pixel. Not checked: 0 <= row < height, 0 <= column < width.
  uint8_t* at(int64_t row, int64_t column) { return rgb.data() + 3 * (row * width + column); }
  const uint8_t* at(int64_t row, int64_t column) const {
    return rgb.data() + 3 * (row * width + column);
  }
};

/// A picture of one colour. Throws ValueError unless both sizes are positive and at most 100
/// million pixels are asked for.
Image make_image(int64_t height, int64_t width, Rgb colour = {});

/// The pixels [top, top + height) x [left, left + width) as a picture of their own. Throws
/// ValueError unless the rectangle is not empty and lies inside.
Image crop(const Image& image, int64_t top, int64_t left, int64_t height, int64_t width);

/// The mirror image: left and right exchanged.
Image flip_horizontal(const Image& image);

}  // namespace tessera::beit3
