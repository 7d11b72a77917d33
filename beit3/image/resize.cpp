#include "beit3/image/resize.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "beit3/image/decode.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

/// Fraction bits of the weights: 8 bits of value and 2 of headroom leave 22 of a 32-bit sum.
constexpr int kFractionBits = 22;

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double kernel(Filter filter, double x) {
  switch (filter) {
    case Filter::bilinear:
      x = std::abs(x);
      return x < 1.0 ? 1.0 - x : 0.0;
    case Filter::bicubic: {
      constexpr double a = -0.5;
      x = std::abs(x);
      if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
      if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
      return 0.0;
    }
    case Filter::lanczos:
      return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
    case Filter::nearest:
      break;
  }
  return 0.0;
}

double half_width(Filter filter) {
  return filter == Filter::bilinear ? 1.0 : filter == Filter::bicubic ? 2.0 : 3.0;
}

/// The weights of one axis: output o is the sum over t < count[o] of
/// weight[o * taps + t] * input[first[o] + t].
struct AxisWeights {
  int64_t taps = 0;
  std::vector<int64_t> first, count;
  std::vector<int32_t> weight;
};

AxisWeights axis_weights(int64_t in_size, double from, double to, int64_t out_size, Filter filter) {
  const double scale = (to - from) / static_cast<double>(out_size);
  const double widening = std::max(scale, 1.0);
  const double support = half_width(filter) * widening;
  AxisWeights axis;
  axis.taps = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  axis.first.resize(static_cast<size_t>(out_size));
  axis.count.resize(static_cast<size_t>(out_size));
  axis.weight.resize(static_cast<size_t>(out_size * axis.taps));
  std::vector<double> exact(static_cast<size_t>(axis.taps));
  const double inverse = 1.0 / widening;
  for (int64_t o = 0; o < out_size; ++o) {
    const double center = from + (static_cast<double>(o) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
    const int64_t last = std::min<int64_t>(static_cast<int64_t>(center + support + 0.5), in_size);
    const int64_t count = last - first;
    double sum = 0.0;
    for (int64_t t = 0; t < count; ++t) {
      const double w = kernel(filter, (static_cast<double>(t + first) - center + 0.5) * inverse);
      exact[static_cast<size_t>(t)] = w;
      sum += w;
    }
    for (int64_t t = 0; t < count; ++t) {
      double w = exact[static_cast<size_t>(t)];
      if (sum != 0.0) w /= sum;
      w *= 1 << kFractionBits;
      axis.weight[static_cast<size_t>(o * axis.taps + t)] =
          static_cast<int32_t>(w < 0 ? w - 0.5 : w + 0.5);
    }
    axis.first[static_cast<size_t>(o)] = first;
    axis.count[static_cast<size_t>(o)] = count;
  }
  return axis;
}

uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

/// Rows [first_row, first_row + rows) of the picture, resized along their length.
Image horizontal_pass(const Image& in, int64_t first_row, int64_t rows, const AxisWeights& axis) {
  const int64_t width = static_cast<int64_t>(axis.first.size());
  Image out{rows, width, std::vector<uint8_t>(static_cast<size_t>(3 * rows * width))};
  for (int64_t y = 0; y < rows; ++y) {
    uint8_t* target = out.at(y, 0);
    for (int64_t x = 0; x < width; ++x, target += 3) {
      const uint8_t* source = in.at(first_row + y, axis.first[static_cast<size_t>(x)]);
      const int32_t* weight = axis.weight.data() + x * axis.taps;
      const int64_t count = axis.count[static_cast<size_t>(x)];
      int32_t r = 1 << (kFractionBits - 1), g = r, b = r;
      for (int64_t t = 0; t < count; ++t, source += 3) {
        r += source[0] * weight[t];
        g += source[1] * weight[t];
        b += source[2] * weight[t];
      }
      target[0] = to_byte(r);
      target[1] = to_byte(g);
      target[2] = to_byte(b);
    }
  }
  return out;
}

/// Columns resized; row r of `in` is row first_row + r of the axis.
Image vertical_pass(const Image& in, int64_t first_row, const AxisWeights& axis) {
  const int64_t height = static_cast<int64_t>(axis.first.size()), length = 3 * in.width;
  Image out{height, in.width, std::vector<uint8_t>(static_cast<size_t>(height * length))};
  std::vector<int32_t> sums(static_cast<size_t>(length));
  for (int64_t y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), 1 << (kFractionBits - 1));
    const int32_t* weight = axis.weight.data() + y * axis.taps;
    for (int64_t t = 0; t < axis.count[static_cast<size_t>(y)]; ++t) {
      const uint8_t* source = in.at(axis.first[static_cast<size_t>(y)] - first_row + t, 0);
      const int32_t w = weight[t];
      for (int64_t i = 0; i < length; ++i) sums[static_cast<size_t>(i)] += source[i] * w;
    }
    uint8_t* target = out.at(y, 0);
    for (int64_t i = 0; i < length; ++i) target[i] = to_byte(sums[static_cast<size_t>(i)]);
  }
  return out;
}

/// The source index of each output, found by repeated addition as Pillow does: the rounding of the
/// running sum decides ties.
std::vector<int64_t> nearest_indices(int64_t in_size, double from, double to, int64_t out_size) {
  const double step = (to - from) / static_cast<double>(out_size);
  std::vector<int64_t> index(static_cast<size_t>(out_size));
  double at = from + step * 0.5;
  for (int64_t& i : index) {
    i = std::clamp<int64_t>(static_cast<int64_t>(at), 0, in_size - 1);
    at += step;
  }
  return index;
}

Image resize_nearest(const Image& image, const Box& box, int64_t height, int64_t width) {
  const auto rows = nearest_indices(image.height, box.top, box.bottom, height);
  const auto columns = nearest_indices(image.width, box.left, box.right, width);
  Image out{height, width, std::vector<uint8_t>(static_cast<size_t>(3 * height * width))};
  uint8_t* target = out.rgb.data();
  for (const int64_t row : rows) {
    for (const int64_t column : columns) {
      const uint8_t* source = image.at(row, column);
      for (int c = 0; c < 3; ++c) *target++ = source[c];
    }
  }
  return out;
}

}  // namespace

std::string_view to_string(Filter filter) {
  switch (filter) {
    case Filter::nearest:
      return "nearest";
    case Filter::bilinear:
      return "bilinear";
    case Filter::bicubic:
      return "bicubic";
    case Filter::lanczos:
      return "lanczos";
  }
  return "unknown";
}

Image resize(const Image& image, int64_t height, int64_t width, Filter filter) {
  const Box all{0, 0, static_cast<double>(image.width), static_cast<double>(image.height)};
  return resize_box(image, all, height, width, filter);
}

Image resize_box(const Image& image, const Box& box, int64_t height, int64_t width, Filter filter) {
  const double in_height = static_cast<double>(image.height);
  const double in_width = static_cast<double>(image.width);
  check<ValueError>(image.height > 0 && image.width > 0, "resize: the picture has no pixels");
  check<ValueError>(height > 0 && width > 0 && height <= kMaxPixels / width,
                    "resize: {} x {} was asked for; sizes must be positive, the product at most {}",
                    height, width, kMaxPixels);
  check<ValueError>(box.left >= 0 && box.top >= 0 && box.left < box.right && box.top < box.bottom &&
                        box.right <= in_width && box.bottom <= in_height,
                    "resize: box {} {} {} {} (left, top, right, bottom) does not lie inside a "
                    "picture {} wide and {} high",
                    box.left, box.top, box.right, box.bottom, image.width, image.height);
  if (filter == Filter::nearest) return resize_nearest(image, box, height, width);

  const bool across = width != image.width || box.left != 0 || box.right != in_width;
  const bool down = height != image.height || box.top != 0 || box.bottom != in_height;
  if (!across && !down) return image;
  const AxisWeights rows = axis_weights(image.height, box.top, box.bottom, height, filter);
  if (!across) return vertical_pass(image, 0, rows);
  // Only the rows that the second pass will read.
  const int64_t first_row = down ? rows.first.front() : 0;
  const int64_t end_row = down ? rows.first.back() + rows.count.back() : image.height;
  const AxisWeights columns = axis_weights(image.width, box.left, box.right, width, filter);
  const Image half = horizontal_pass(image, first_row, end_row - first_row, columns);
  return down ? vertical_pass(half, first_row, rows) : half;
}

}  // namespace tessera::beit3
