#include "beit3/vqkd/targets.h"

#include "tensor/base/parallel.h"
#include "tests/beit3/vqkd/vqkd_testing.h"
#include "tests/testing/errors.h"

namespace tessera::beit3 {
namespace {

using testing::TemporaryFile;

/// Directions of one patch: 4 cells of 8 bins.
std::vector<float> directions(const Tensor& target, int64_t row, int64_t patch) {
  const std::vector<float> all = select(target, 0, row).to_vector<float>();
  const auto begin = all.begin() + 3 * patch * patch;
  return {begin, begin + 32};
}

/// (1, 3, 16, 16) of f(y, x).
template <class F>
Tensor drawn(F f) {
  std::vector<float> pixels;
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < 16; ++y) {
      for (int x = 0; x < 16; ++x) pixels.push_back(f(y, x));
    }
  }
  return from_data(pixels, {1, 3, 16, 16});
}

TEST(VqkdTargetsTest, PixelsAndMeanColour) {
  const Tensor images = testing::blobs(3, 16, RandomKey{1});
  const PatchTargets t = plain_targets(images, 8);
  EXPECT_EQ(t.target.shape(), (Shape{12, plain_target_width(8)}));
  tessera::testing::expect_close(nn::unpatches(t.pixels, 8, 3, 16, 16), images * 2.0 - 1.0, 1e-6);
  const double scale = 1.5 * std::sqrt(35.0 / 192);
  tessera::testing::expect_close(slice(t.target, 1, 0, 192), t.pixels * scale, 1e-6);
  const Tensor colour = mean(reshape(t.pixels, {12, 3, 64}), {2});
  tessera::testing::expect_close(slice(t.target, 1, 224, 227), colour * 3.0, 1e-5);
}

TEST(VqkdTargetsTest, FlatPatchesHaveNoDirections) {
  const PatchTargets t = plain_targets(drawn([](int, int) { return 0.3f; }), 8);
  for (int64_t row = 0; row < 4; ++row) {
    for (float v : directions(t.target, row, 8)) EXPECT_EQ(v, 0);
  }
}

TEST(VqkdTargetsTest, DirectionsAreWhereTheEdgeIs) {
  // A step from left to right inside the first patch, between columns 1 and 2.
  const PatchTargets t = plain_targets(drawn([](int, int x) { return x < 2 ? 0.0f : 1.0f; }), 8);
  const std::vector<float> h = directions(t.target, 0, 8);
  EXPECT_GT(h[0], 1.3f);  // upper left cell, gradient along x
  EXPECT_LE(h[0], 1.5f);
  EXPECT_GT(h[16], 1.3f);  // lower left cell
  EXPECT_EQ(h[8], 0);      // upper right cell
  EXPECT_EQ(h[4], 0);      // gradient along y
  // The same turned by a quarter.
  const PatchTargets u = plain_targets(drawn([](int y, int) { return y < 2 ? 1.0f : 0.0f; }), 8);
  EXPECT_GT(directions(u.target, 0, 8)[4], 1.3f);
  EXPECT_EQ(directions(u.target, 0, 8)[0], 0);
}

TEST(VqkdTargetsTest, ForegroundCountsMore) {
  const Tensor images = drawn([](int y, int x) { return y < 8 && x < 4 ? 1.0f : 0.0f; });
  const std::vector<float> w = plain_targets(images, 8).weight.to_vector<float>();
  EXPECT_NEAR(w[0] / w[1], 7, 1e-5);
  EXPECT_NEAR(w[0] + w[1] + w[2] + w[3], 4, 1e-5);
  const std::vector<float> even = plain_targets(images, 8, {.extra = 0}).weight.to_vector<float>();
  EXPECT_EQ(even, (std::vector<float>{1, 1, 1, 1}));
}

TEST(VqkdTargetsTest, ThreadsChangeNothing) {
  const Tensor images = testing::blobs(9, 32, RandomKey{1});
  const int before = thread_count();
  set_thread_count(1);
  const std::vector<float> one = plain_targets(images, 8).target.to_vector<float>();
  set_thread_count(3);
  EXPECT_EQ(plain_targets(images, 8).target.to_vector<float>(), one);
  set_thread_count(before);
}

TEST(VqkdTargetsTest, RefusesOtherShapes) {
  EXPECT_ERROR(plain_targets(zeros({1, 3, 12, 12}), 8), ShapeError,
               "image targets: images are (1, 3, 12, 12); expected (B, 3, S, S) with S a multiple "
               "of 8");
}

TEST(TeacherFeaturesTest, ById) {
  const TemporaryFile file("features.safetensors");
  const Tensor features = tessera::testing::random({3, 4, 5}, 1, DType::f32);
  nn::save_safetensors(file.path(), {{"features", features}});
  const TeacherFeatures plain(file.path());
  EXPECT_EQ(plain.patches(), 4);
  tessera::testing::expect_equal(plain.of(std::vector<int64_t>{2, 0}),
                                 concat({select(features, 0, 2), select(features, 0, 0)}));
  EXPECT_THROW(plain.of(std::vector<int64_t>{3}), IndexError);

  nn::save_safetensors(file.path(), {{"features", features},
                                     {"ids", from_data(std::vector<int64_t>{70, 50, 60}, {3})}});
  const TeacherFeatures named(file.path());
  tessera::testing::expect_equal(named.of(std::vector<int64_t>{60}), select(features, 0, 2));
  EXPECT_THROW(named.of(std::vector<int64_t>{0}), IndexError);

  nn::save_safetensors(file.path(), {{"features", features},
                                     {"ids", from_data(std::vector<int64_t>{7, 5, 7}, {3})}});
  EXPECT_THROW(TeacherFeatures{file.path()}, IoError);
  nn::save_safetensors(file.path(), {{"x", features}});
  EXPECT_THROW(TeacherFeatures{file.path()}, IoError);
}

}  // namespace
}  // namespace tessera::beit3
