#include "beit3/image/transform.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

Image noise(int64_t height, int64_t width, uint64_t seed) {
  RandomStream random(RandomKey{seed});
  Image image = make_image(height, width);
  for (uint8_t& v : image.rgb) v = static_cast<uint8_t>(random.word());
  return image;
}

TEST(RandomCrop, StaysInsideAndWithinItsRange) {
  double smallest = 1, largest = 0;
  for (uint64_t i = 0; i < 2000; ++i) {
    const CropBox box = random_crop_box(60, 80, 0.2, 1.0, 0.75, 4.0 / 3, RandomKey{1}.fold(i));
    ASSERT_GE(box.top, 0);
    ASSERT_GE(box.left, 0);
    ASSERT_LE(box.top + box.height, 60);
    ASSERT_LE(box.left + box.width, 80);
    const double share = static_cast<double>(box.height * box.width) / (60 * 80);
    smallest = std::min(smallest, share);
    largest = std::max(largest, share);
    const double ratio = static_cast<double>(box.width) / static_cast<double>(box.height);
    // Sides are rounded by up to half a pixel; the smallest has about 23.
    ASSERT_GT(ratio, 0.75 * (1 - 0.05));
    ASSERT_LT(ratio, 4.0 / 3 * (1 + 0.05));
  }
  EXPECT_LT(smallest, 0.23);
  EXPECT_GT(largest, 0.9);
}

TEST(RandomCrop, FallsBackToTheMiddle) {
  // Nothing of aspect 3/4 to 4/3 covers nine tenths of so long a picture.
  const CropBox wide = random_crop_box(10, 1000, 0.9, 1.0, 0.75, 4.0 / 3, RandomKey{2});
  EXPECT_EQ(wide, (CropBox{0, 493, 10, 13}));
  const CropBox high = random_crop_box(1000, 10, 0.9, 1.0, 0.75, 4.0 / 3, RandomKey{2});
  EXPECT_EQ(high, (CropBox{493, 0, 13, 10}));
}

TEST(Augment, IsAFunctionOfItsKey) {
  const Image image = noise(40, 50, 3);
  const AugmentSpec spec{.side = 32, .jitter = {0.4, 0.4, 0.4}, .second_side = 16};
  const AugmentedView a = augment(image, spec, RandomKey{7}),
                      b = augment(image, spec, RandomKey{7});
  EXPECT_EQ(a.pixels, b.pixels);
  EXPECT_EQ(a.second_pixels, b.second_pixels);
  EXPECT_EQ(a.pixels.size(), 3u * 32 * 32);
  EXPECT_EQ(a.second_pixels.size(), 3u * 16 * 16);
  EXPECT_NE(a.pixels, augment(image, spec, RandomKey{8}).pixels);
  for (const float v : a.pixels) ASSERT_TRUE(v >= -1 && v <= 1);
  for (const float v : a.second_pixels) ASSERT_TRUE(v >= 0 && v <= 1);
  int flips = 0;
  for (uint64_t i = 0; i < 400; ++i) flips += augment(image, spec, RandomKey{i}).flipped;
  EXPECT_NEAR(flips, 200, 5 * std::sqrt(400 * 0.25));
}

TEST(Augment, EvaluationDoesNotDependOnTheKey) {
  const Image image = noise(30, 64, 4);
  AugmentSpec spec{.side = 16, .framing = Framing::stretch, .flip_probability = 0};
  const AugmentedView view = augment(image, spec, RandomKey{1});
  EXPECT_EQ(view.pixels, augment(image, spec, RandomKey{2}).pixels);
  EXPECT_EQ(view.pixels, to_floats(resize(image, 16, 16), kInception));
  spec.framing = Framing::center_crop;
  // Shorter side 30 -> 16, the longer one cut to 34; 9 columns go on either side.
  EXPECT_EQ(augment(image, spec, RandomKey{1}).pixels,
            to_floats(crop(resize(image, 16, 34), 0, 9, 16, 16), kInception));
}

TEST(Augment, CropsBeforeItResizes) {
  const Image image = noise(40, 40, 5);
  const AugmentSpec spec{.side = 20, .flip_probability = 0};
  const AugmentedView view = augment(image, spec, RandomKey{11});
  const CropBox& b = view.box;
  EXPECT_EQ(view.pixels,
            to_floats(resize(crop(image, b.top, b.left, b.height, b.width), 20, 20), kInception));
}

TEST(Augment, RefusesASpecOutOfRange) {
  const Image image = make_image(8, 8);
  EXPECT_THROW(augment(image, {.side = 0}, {}), ValueError);
  EXPECT_THROW(augment(image, {.side = 8, .min_scale = 0.9, .max_scale = 0.5}, {}), ValueError);
  EXPECT_THROW(augment(image, {.side = 8, .flip_probability = 2}, {}), ValueError);
  EXPECT_THROW(augment(Image{}, {.side = 8}, {}), ValueError);
}

TEST(Colours, BlendAsPillowDoes) {
  Image image = make_image(1, 2, {200, 100, 50});
  image.at(0, 1)[0] = image.at(0, 1)[1] = image.at(0, 1)[2] = 10;
  EXPECT_EQ(adjust_brightness(image, 1.5).rgb, (std::vector<uint8_t>{255, 150, 75, 15, 15, 15}));
  // Grey of the first pixel: (200 * 19595 + 100 * 38470 + 50 * 7471 + 32768) >> 16 = 124.
  EXPECT_EQ(adjust_saturation(image, 0).rgb, (std::vector<uint8_t>{124, 124, 124, 10, 10, 10}));
  // Mean grey (124 + 10) / 2 = 67.
  EXPECT_EQ(adjust_contrast(image, 0).rgb, std::vector<uint8_t>(6, 67));
  EXPECT_EQ(adjust_contrast(image, 1), image);
  EXPECT_EQ(jitter_colours(image, {}, RandomKey{1}), image);
}

TEST(Floats, GoThereAndBack) {
  const Image image = noise(6, 9, 8);
  for (const Normalisation& n : {kUnit, kInception, kImageNet}) {
    EXPECT_EQ(from_floats(to_floats(image, n).data(), 6, 9, n), image);
  }
  const float odd[3] = {std::nanf(""), -1.0f, 2.0f};
  EXPECT_EQ(from_floats(odd, 1, 1).rgb, (std::vector<uint8_t>{0, 0, 255}));
}

TEST(Flip, ExchangesLeftAndRight) {
  const Image image = noise(3, 5, 9);
  const Image flipped = flip_horizontal(image);
  for (int64_t y = 0; y < 3; ++y) {
    for (int64_t x = 0; x < 5; ++x) EXPECT_EQ(flipped.at(y, x)[1], image.at(y, 4 - x)[1]);
  }
  EXPECT_EQ(flip_horizontal(flipped), image);
}

}  // namespace
}  // namespace tessera::beit3
