#pragma once

#include <map>
#include <span>
#include <string>

#include "tensor/tensor.h"

namespace tessera::beit3 {

/// Which patches count more. On flat backgrounds the shapes are a small part of all patches.
struct ForegroundRule {
  double variance = 0.01;  ///< of a patch's pixels in [0, 1], mean of the channels, above which …
  double extra = 6;        ///< … its error counts 1 + extra times
};

/// Variance of the pixels of one patch of a picture (3, side, side), mean of the channels; `place`
/// counts the patches row by row.
double patch_variance(const float* picture, int64_t side, int64_t patch, int64_t place);

/// What the decoder shall say of each patch where there is no teacher, and how much each counts.
/// Constants, in the dtype of the pictures.
struct PatchTargets {
  Tensor target;  // (B * N, plain_target_width)
  Tensor weight;  // (B * N), mean 1
  Tensor pixels;  // (B * N, 3 P P) in [-1, 1]
};

/// 3 P P + 35: pixels; 8 directions in 2 x 2 cells; mean colour.
inline constexpr int64_t plain_target_width(int64_t patch) { return 3 * patch * patch + 35; }

/// The teacher-free target of pictures (B, 3, S, S) in [0, 1], a constant:
///
///   pixels in [-1, 1], times 1.5 sqrt(35 / 3 P P)
///   histograms of gradients: 8 unsigned directions in each of 2 x 2 cells, weighted by strength,
///     divided by their length + 0.12, times 1.5
///   mean colour in [-1, 1], times 3
///
/// Throws ShapeError unless the pictures are square and cut into whole patches.
/// Source of the histograms: Dalal, Triggs, CVPR 2005; as a target of masked pictures: Wei et al.,
/// arXiv:2112.09133.
PatchTargets plain_targets(const Tensor& images, int64_t patch, const ForegroundRule& rule = {});

/// What a teacher says of the patches of many pictures: a safetensors file with `features`
/// (pictures, N, D), f32, f16 or bf16, and, if pictures are known by other numbers than their
/// places, `ids` (pictures) i64.
class TeacherFeatures {
 public:
  /// Throws IoError for a file without such tensors, or with an id twice.
  explicit TeacherFeatures(const std::string& path);

  int64_t pictures() const { return features_.size(0); }
  int64_t patches() const { return features_.size(1); }
  int64_t width() const { return features_.size(2); }
  bool contains(int64_t id) const {
    return place_.empty() ? id >= 0 && id < pictures() : place_.count(id) > 0;
  }
  /// The features of the pictures with these ids, (n * N, D) f32. IndexError for an unknown id.
  Tensor of(std::span<const int64_t> ids) const;

 private:
  std::string path_;
  Tensor features_;
  std::map<int64_t, int64_t> place_;  // by id; empty: the place is the id
};

/// Mean over rows of 1 - cosine of the angle between x and target (N, D).
Tensor cosine_loss(const Tensor& x, const Tensor& target);
/// Mean over rows and elements of (x - target)^2, each row with its weight (N).
Tensor weighted_square_loss(const Tensor& x, const Tensor& target, const Tensor& weight);

}  // namespace tessera::beit3
