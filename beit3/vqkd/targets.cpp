#include "beit3/vqkd/targets.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "beit3/vqkd/quantizer.h"
#include "nn/io/safetensors.h"
#include "tensor/base/parallel.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/index.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {
namespace {

constexpr int64_t kBins = 8, kCells = 2;

/// One patch of one picture (3, S, S).
class Patch {
 public:
  Patch(const float* picture, int64_t side, int64_t patch, int64_t top, int64_t left)
      : picture_(picture), side_(side), patch_(patch), top_(top), left_(left) {}

  void fill(float* target, float* pixels) const {
    const float scale = 1.5f * std::sqrt(35.0f / static_cast<float>(3 * patch_ * patch_));
    std::array<float, 3> mean{};
    int64_t i = 0;
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t y = 0; y < patch_; ++y) {
        for (int64_t x = 0; x < patch_; ++x, ++i) {
          const float v = 2 * at(c, y, x) - 1;
          pixels[i] = v;
          target[i] = v * scale;
          mean[static_cast<size_t>(c)] += v / static_cast<float>(patch_ * patch_);
        }
      }
    }
    directions(target + i);
    for (int64_t c = 0; c < 3; ++c) target[i + 32 + c] = 3 * mean[static_cast<size_t>(c)];
  }

 private:
  /// Clamped to the picture, so that gradients exist at its edge.
  float at(int64_t c, int64_t y, int64_t x) const {
    const int64_t row = std::clamp<int64_t>(top_ + y, 0, side_ - 1);
    const int64_t col = std::clamp<int64_t>(left_ + x, 0, side_ - 1);
    return picture_[(c * side_ + row) * side_ + col];
  }

  void directions(float* out) const {
    std::array<float, kBins * kCells * kCells> histogram{};
    for (int64_t y = 0; y < patch_; ++y) {
      for (int64_t x = 0; x < patch_; ++x) {
        float dx = 0, dy = 0, most = -1;
        for (int64_t c = 0; c < 3; ++c) {  // the channel with the strongest edge speaks
          const float gx = at(c, y, x + 1) - at(c, y, x - 1);
          const float gy = at(c, y + 1, x) - at(c, y - 1, x);
          if (gx * gx + gy * gy > most) {
            most = gx * gx + gy * gy;
            dx = gx;
            dy = gy;
          }
        }
        const float strength = std::sqrt(most);
        float turn = std::atan2(dy, dx) / std::numbers::pi_v<float>;  // unsigned: modulo 1
        if (turn < 0) turn += 1;
        const float place = turn * kBins;
        const int64_t low = static_cast<int64_t>(place) % kBins;
        const float share = place - std::floor(place);
        const int64_t cell = (y * kCells / patch_ * kCells + x * kCells / patch_) * kBins;
        histogram[static_cast<size_t>(cell + low)] += strength * (1 - share);
        histogram[static_cast<size_t>(cell + (low + 1) % kBins)] += strength * share;
      }
    }
    for (int64_t cell = 0; cell < kCells * kCells; ++cell) {
      float* h = histogram.data() + cell * kBins;
      float square = 0;
      for (int64_t k = 0; k < kBins; ++k) square += h[k] * h[k];
      const float scale = 1.5f / (std::sqrt(square) + 0.12f);
      for (int64_t k = 0; k < kBins; ++k) out[cell * kBins + k] = h[k] * scale;
    }
  }

  const float* picture_;
  int64_t side_, patch_, top_, left_;
};

}  // namespace

double patch_variance(const float* picture, int64_t side, int64_t patch, int64_t place) {
  const int64_t grid = side / patch, top = place / grid * patch, left = place % grid * patch;
  double total = 0;
  for (int64_t c = 0; c < 3; ++c) {
    double s = 0, ss = 0;
    for (int64_t y = 0; y < patch; ++y) {
      const float* row = picture + (c * side + top + y) * side + left;
      for (int64_t x = 0; x < patch; ++x) {
        const double v = static_cast<double>(row[x]);
        s += v;
        ss += v * v;
      }
    }
    const double n = static_cast<double>(patch * patch);
    total += (ss / n - s / n * (s / n)) / 3;
  }
  return total;
}

PatchTargets plain_targets(const Tensor& images, int64_t patch, const ForegroundRule& rule) {
  check<ShapeError>(images.rank() == 4 && images.size(1) == 3 && images.size(2) == images.size(3) &&
                        patch >= 2 && images.size(2) % patch == 0,
                    "image targets: images are {}; expected (B, 3, S, S) with S a multiple of {}",
                    images.shape(), patch);
  const int64_t batch = images.size(0), side = images.size(2), grid = side / patch;
  const int64_t n = grid * grid, width = plain_target_width(patch), pixels = 3 * patch * patch;
  const Tensor source = images.detach().to(DType::f32).contiguous();
  const Tensor target = empty({batch * n, width}), weight = empty({batch * n}),
               plain = empty({batch * n, pixels});
  const float* from = source.view().as<float>();
  float *to_target = target.data<float>(), *to_weight = weight.data<float>(),
        *to_plain = plain.data<float>();
  const float busy = static_cast<float>(1 + rule.extra);
  parallel_for(batch, [&](int64_t b) {
    const float* picture = from + b * 3 * side * side;
    for (int64_t p = 0; p < n; ++p) {
      const Patch one(picture, side, patch, p / grid * patch, p % grid * patch);
      const int64_t row = b * n + p;
      one.fill(to_target + row * width, to_plain + row * pixels);
      to_weight[row] = patch_variance(picture, side, patch, p) > rule.variance ? busy : 1.0f;
    }
  });
  double total = 0;
  for (int64_t i = 0; i < batch * n; ++i) total += static_cast<double>(to_weight[i]);
  const float factor = static_cast<float>(static_cast<double>(batch * n) / total);
  for (int64_t i = 0; i < batch * n; ++i) to_weight[i] *= factor;
  return {target.to(images.dtype()), weight.to(images.dtype()), plain.to(images.dtype())};
}

TeacherFeatures::TeacherFeatures(const std::string& path) : path_(path) {
  const nn::SafetensorsReader file(path);
  check<IoError>(file.contains("features"), "{}: there is no tensor \"features\"", path);
  features_ = file.load("features");
  check<IoError>(features_.rank() == 3 && is_floating(features_.dtype()),
                 "{}: \"features\" is {} {}; expected (pictures, patches, width) of floats", path,
                 features_.dtype(), features_.shape());
  if (!file.contains("ids")) return;
  const Tensor ids = file.load("ids");
  check<IoError>(ids.dtype() == DType::i64 && ids.shape() == Shape{pictures()},
                 "{}: \"ids\" is {} {}; expected i64 ({}), one a picture", path, ids.dtype(),
                 ids.shape(), pictures());
  int64_t place = 0;
  for (int64_t id : ids.to_vector<int64_t>()) {
    check<IoError>(place_.emplace(id, place++).second, "{}: id {} occurs twice", path, id);
  }
}

Tensor TeacherFeatures::of(std::span<const int64_t> ids) const {
  std::vector<int64_t> places;
  for (int64_t id : ids) {
    check<IndexError>(contains(id), "{}: there are no features of picture {}", path_, id);
    places.push_back(place_.empty() ? id : place_.at(id));
  }
  const int64_t n = static_cast<int64_t>(places.size());
  const Tensor rows = index_select(reshape(features_, {pictures(), patches() * width()}),
                                   from_data(places, {n}), 0);
  return reshape(rows.to(DType::f32), {n * patches(), width()});
}

Tensor cosine_loss(const Tensor& x, const Tensor& target) {
  return 1.0 - mean(sum(unit_rows(x) * unit_rows(target), {1}));
}

Tensor weighted_square_loss(const Tensor& x, const Tensor& target, const Tensor& weight) {
  return mean(mean(square(x - target), {1}) * weight);
}

}  // namespace tessera::beit3
