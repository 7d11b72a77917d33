#pragma once

#include <cstdint>
#include <string_view>

#include "beit3/image/image.h"

namespace tessera::beit3 {

/// How values between pixels are made. All but `nearest` widen their kernel when shrinking, so that
/// every pixel of the source counts (antialiasing).
enum class Filter { nearest, bilinear, bicubic, lanczos };

std::string_view to_string(Filter filter);

/// A rectangle of a picture in pixels, edges at whole numbers: the whole picture is
/// {0, 0, width, height}.
struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;
};

/// The picture resized to height x width; equal to Pillow's `Image.resize` to the last bit.
///
/// With filter f of half-width s, scale = in / out and k = max(1, scale), an axis is mapped by
///   out[o] = sum over i of w_i in[i],  w_i = f((i - c + 0.5) / k) / sum,  c = (o + 0.5) scale,
/// i from int(c - s k + 0.5) to int(c + s k + 0.5); weights are rounded to multiples of 2^-22. The
/// horizontal pass comes first and is rounded to 8 bits; an axis that stays as it is, is skipped.
/// f: bilinear 1 - |x| (s = 1); bicubic Keys' kernel with a = -1/2 (s = 2); Lanczos
/// sinc(x) sinc(x/3) (s = 3).
///
/// Throws ValueError for an empty picture, or sizes that are not positive or too large.
Image resize(const Image& image, int64_t height, int64_t width, Filter filter = Filter::bicubic);

/// Resizes the part of the picture inside `box` (which may cut pixels), as Pillow's
/// `resize(size, filter, box)`: the kernel reads pixels beyond the edges of the box where there are
/// some. Throws ValueError also if the box is empty or not inside the picture.
Image resize_box(const Image& image, const Box& box, int64_t height, int64_t width,
                 Filter filter = Filter::bicubic);

}  // namespace tessera::beit3
