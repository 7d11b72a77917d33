#include <algorithm>
#include <cmath>
#include <numbers>

#include "beit3/data/synth_internal.h"

namespace tessera::beit3 {
namespace {

constexpr int kSubsamples = 4;  // along each side of a pixel

struct Point {
  double x, y;
};

// Shapes of radius 1, sized so that the four look equally large. A square's half side; the
// circumradii of the other two, and a star's inner radius.
constexpr double kSquareHalf = 0.86, kTriangleRadius = 1.15, kStarRadius = 1.08, kStarInner = 0.46;

/// Corners of a regular figure, the first pointing up, moved so that the bounding box is centred.
std::vector<Point> polygon(Shape shape) {
  if (shape == Shape::square) {
    return {{-kSquareHalf, -kSquareHalf},
            {kSquareHalf, -kSquareHalf},
            {kSquareHalf, kSquareHalf},
            {-kSquareHalf, kSquareHalf}};
  }
  const int corners = shape == Shape::triangle ? 3 : 10;
  std::vector<Point> points;
  for (int i = 0; i < corners; ++i) {
    const double angle = 2 * std::numbers::pi * i / corners;
    const double radius = shape == Shape::triangle ? kTriangleRadius
                          : i % 2 == 0             ? kStarRadius
                                                   : kStarInner * kStarRadius;
    points.push_back({radius * std::sin(angle), -radius * std::cos(angle)});
  }
  double low = points[0].y, high = points[0].y;
  for (const Point& p : points) {
    low = std::min(low, p.y);
    high = std::max(high, p.y);
  }
  for (Point& p : points) p.y -= (low + high) / 2;
  return points;
}

/// Where a horizontal line at height y enters and leaves a shape, ascending: even-odd pairs.
void crossings(const SceneObject& object, const std::vector<Point>& corners, double y,
               std::vector<double>& out) {
  out.clear();
  if (object.shape == Shape::circle) {
    const double dy = y - object.y, square = object.radius * object.radius - dy * dy;
    if (square <= 0) return;
    out = {object.x - std::sqrt(square), object.x + std::sqrt(square)};
    return;
  }
  for (size_t i = 0, j = corners.size() - 1; i < corners.size(); j = i++) {
    const Point &a = corners[i], &b = corners[j];
    if ((a.y > y) != (b.y > y)) out.push_back((b.x - a.x) * (y - a.y) / (b.y - a.y) + a.x);
  }
  std::sort(out.begin(), out.end());
}

/// Adds the samples of one line, four a pixel, that lie between pairs of crossings.
void add_samples(const std::vector<double>& at, std::vector<int>& covered) {
  const int64_t samples = static_cast<int64_t>(covered.size()) * kSubsamples;
  const auto first_from = [&](double x) {  // sample k lies at (k + 1/2) / kSubsamples
    return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(x * kSubsamples - 0.5)), 0, samples);
  };
  for (size_t i = 0; i + 1 < at.size(); i += 2) {
    const int64_t end = first_from(at[i + 1]);
    for (int64_t k = first_from(at[i]); k < end; ++k) {
      ++covered[static_cast<size_t>(k / kSubsamples)];
    }
  }
}

/// Quantiles of the standard normal distribution, so that one table look-up makes one draw. 4,096
/// steps end at 3.7 deviations, enough for noise that is rounded to whole levels.
const std::vector<float>& normal_table() {
  static const std::vector<float> kTable = [] {
    constexpr int kSteps = 4096;
    std::vector<float> table(kSteps);
    for (int i = 0; i < kSteps; ++i) {
      const double target = (i + 0.5) / kSteps;
      double low = -6, high = 6;
      for (int step = 0; step < 50; ++step) {
        const double middle = (low + high) / 2;
        (0.5 * std::erfc(-middle / std::numbers::sqrt2) < target ? low : high) = middle;
      }
      table[static_cast<size_t>(i)] = static_cast<float>((low + high) / 2);
    }
    return table;
  }();
  return kTable;
}

uint8_t to_byte(float value) {
  return static_cast<uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f));
}

/// Paints one object over the float canvas (side x side x 3) and measures it.
void draw_object(std::vector<float>& canvas, SceneObject& object, int64_t side) {
  std::vector<Point> corners;
  if (object.shape != Shape::circle) corners = polygon(object.shape);
  const double sine = std::sin(object.angle), cosine = std::cos(object.angle);
  for (Point& p : corners) {
    const Point turned{p.x * cosine - p.y * sine, p.x * sine + p.y * cosine};
    p = {object.x + object.radius * turned.x, object.y + object.radius * turned.y};
  }
  const double reach = object.radius * extent_of(object.shape).circumscribed + 1;
  const int64_t first_row = std::clamp<int64_t>(static_cast<int64_t>(object.y - reach), 0, side);
  const int64_t end_row = std::clamp<int64_t>(static_cast<int64_t>(object.y + reach) + 1, 0, side);
  const float paint[3] = {static_cast<float>(object.paint.r), static_cast<float>(object.paint.g),
                          static_cast<float>(object.paint.b)};
  object.mask.assign(static_cast<size_t>(side * side), 0);
  object.area = 0;
  int64_t left = side, top = side, right = -1, bottom = -1;
  std::vector<int> covered(static_cast<size_t>(side));
  std::vector<double> at;
  for (int64_t row = first_row; row < end_row; ++row) {
    std::fill(covered.begin(), covered.end(), 0);
    for (int line = 0; line < kSubsamples; ++line) {
      crossings(object, corners, static_cast<double>(row) + (line + 0.5) / kSubsamples, at);
      add_samples(at, covered);
    }
    for (int64_t column = 0; column < side; ++column) {
      const int samples = covered[static_cast<size_t>(column)];
      if (samples == 0) continue;
      const float share = static_cast<float>(samples) / (kSubsamples * kSubsamples);
      float* pixel = canvas.data() + 3 * (row * side + column);
      for (int c = 0; c < 3; ++c) pixel[c] += share * (paint[c] - pixel[c]);
      if (share < 0.5f) continue;
      object.mask[static_cast<size_t>(row * side + column)] = 1;
      ++object.area;
      left = std::min(left, column);
      right = std::max(right, column);
      top = std::min(top, row);
      bottom = std::max(bottom, row);
    }
  }
  object.box_left = left;
  object.box_top = top;
  object.box_width = right - left + 1;
  object.box_height = bottom - top + 1;
}

}  // namespace

Extent extent_of(Shape shape) {
  switch (shape) {
    case Shape::circle:
      return {1.0, 1.0, 1.0};
    case Shape::square:
      return {kSquareHalf, kSquareHalf, kSquareHalf * std::numbers::sqrt2};
    case Shape::triangle: {
      const double height = 0.75 * kTriangleRadius;
      const double width = kTriangleRadius * std::numbers::sqrt3 / 2;
      return {height, width, std::hypot(height, width)};
    }
    case Shape::star: {
      const double height = kStarRadius * (1 + std::cos(std::numbers::pi / 5)) / 2;
      return {height, kStarRadius * std::sin(2 * std::numbers::pi / 5), kStarRadius * 1.12};
    }
  }
  return {1.0, 1.0, 1.0};
}

Rgb paint_of(Colour colour) {
  switch (colour) {
    case Colour::red:
      return {215, 40, 40};
    case Colour::green:
      return {40, 165, 60};
    case Colour::blue:
      return {45, 80, 215};
    case Colour::yellow:
      return {240, 220, 50};
    case Colour::purple:
      return {130, 50, 170};
    case Colour::orange:
      return {245, 140, 30};
    case Colour::pink:
      return {247, 150, 190};
    case Colour::cyan:
      return {50, 205, 220};
  }
  return {};
}

Rgb paint_of(Background background) {
  switch (background) {
    case Background::white:
      return {235, 235, 235};
    case Background::grey:
      return {128, 128, 128};
    case Background::black:
      return {22, 22, 22};
    case Background::brown:
      return {116, 78, 42};
  }
  return {};
}

void draw_scene(Scene& scene, const SceneOptions& options, RandomKey key) {
  RandomStream random(key.fold(0));
  const int64_t side = options.side;
  const Rgb base = paint_of(scene.background);
  const float base_value[3] = {static_cast<float>(base.r), static_cast<float>(base.g),
                               static_cast<float>(base.b)};
  const double amplitude = random.uniform(0, options.gradient);
  const double direction = random.uniform(0, 2 * std::numbers::pi);
  const double along_x = std::cos(direction), along_y = std::sin(direction);
  std::vector<float> canvas(static_cast<size_t>(3 * side * side));
  for (int64_t row = 0; row < side; ++row) {
    for (int64_t column = 0; column < side; ++column) {
      const double x = (static_cast<double>(column) + 0.5) / static_cast<double>(side) - 0.5;
      const double y = (static_cast<double>(row) + 0.5) / static_cast<double>(side) - 0.5;
      const float slope = static_cast<float>(amplitude * (x * along_x + y * along_y));
      for (int64_t c = 0; c < 3; ++c) {
        canvas[static_cast<size_t>(3 * (row * side + column) + c)] = base_value[c] + slope;
      }
    }
  }
  const int64_t spread = options.colour_jitter;
  for (SceneObject& object : scene.objects) {
    const Rgb pure = paint_of(object.colour);
    const auto varied = [&](uint8_t v) {
      const int64_t value = v + random.integer(2 * spread + 1) - spread;
      return static_cast<uint8_t>(std::clamp<int64_t>(value, 0, 255));
    };
    object.paint.r = varied(pure.r);
    object.paint.g = varied(pure.g);
    object.paint.b = varied(pure.b);
    draw_object(canvas, object, side);
  }
  scene.image = Image{side, side, std::vector<uint8_t>(canvas.size())};
  RandomStream noise(key.fold(1));
  const std::vector<float>& table = normal_table();
  const float sigma = static_cast<float>(options.noise);
  uint32_t word = 0;
  for (size_t i = 0; i < canvas.size(); ++i) {
    word = i % 2 == 0 ? noise.word() : word >> 12;
    scene.image.rgb[i] = to_byte(canvas[i] + sigma * table[word & 4095]);
  }
}

}  // namespace tessera::beit3
