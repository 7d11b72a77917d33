#include "beit3/image/image.h"

#include <algorithm>
#include <cstring>

#include "beit3/image/decode.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {

Image make_image(int64_t height, int64_t width, Rgb colour) {
  check<ValueError>(height > 0 && width > 0 && height <= kMaxPixels / width,
                    "make_image: a picture of {} x {} was asked for; both sizes must be positive "
                    "and the product at most {}",
                    height, width, kMaxPixels);
  Image image{height, width, std::vector<uint8_t>(static_cast<size_t>(3 * height * width))};
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    image.rgb[i] = colour.r;
    image.rgb[i + 1] = colour.g;
    image.rgb[i + 2] = colour.b;
  }
  return image;
}

Image crop(const Image& image, int64_t top, int64_t left, int64_t height, int64_t width) {
  check<ValueError>(top >= 0 && left >= 0 && height > 0 && width > 0 &&
                        height <= image.height - top && width <= image.width - left,
                    "crop: rows {} + {}, columns {} + {} do not lie inside a picture of {} x {}",
                    top, height, left, width, image.height, image.width);
  Image out{height, width, std::vector<uint8_t>(static_cast<size_t>(3 * height * width))};
  for (int64_t row = 0; row < height; ++row) {
    std::memcpy(out.at(row, 0), image.at(top + row, left), static_cast<size_t>(3 * width));
  }
  return out;
}

Image flip_horizontal(const Image& image) {
  Image out = image;
  for (int64_t row = 0; row < out.height; ++row) {
    for (int64_t a = 0, b = out.width - 1; a < b; ++a, --b) {
      std::swap_ranges(out.at(row, a), out.at(row, a) + 3, out.at(row, b));
    }
  }
  return out;
}

}  // namespace tessera::beit3
