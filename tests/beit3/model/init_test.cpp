#include "beit3/model/init.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "tensor/ops/elementwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {
namespace {

double largest(const Tensor& x) { return max(abs(x)).item<double>(); }

TEST(GridSines, AreCentredScaledAndTellPlacesApart) {
  const Tensor sines = grid_sines(8, 96, 1.5);
  EXPECT_EQ(sines.shape(), (Shape{64, 96}));
  EXPECT_LT(largest(mean(sines, {0})), 1e-13);
  EXPECT_NEAR(std::sqrt(mean(sines * sines).item<double>()), 1.5, 1e-12);
  // The first half of the columns speaks of rows, the second of columns of the picture.
  const Tensor grid = reshape(sines, {8, 8, 96});
  EXPECT_EQ(largest(slice(grid, 2, 0, 48) - slice(slice(grid, 2, 0, 48), 1, 3, 4)), 0);
  EXPECT_EQ(largest(slice(grid, 2, 48, 96) - slice(slice(grid, 2, 48, 96), 0, 5, 6)), 0);
  std::set<std::vector<double>> places;
  for (int64_t i = 0; i < 64; ++i) places.insert(slice(sines, 0, i, i + 1).to_vector<double>());
  EXPECT_EQ(places.size(), 64u);
}

TEST(GridSines, OfASinglePatchAreZeros) { EXPECT_EQ(largest(grid_sines(1, 8, 1)), 0); }

TEST(GridSines, RefuseAnOddWidth) { EXPECT_THROW(grid_sines(4, 30, 1), ValueError); }

TEST(ScaledInit, HearsAPictureBesideItsPositions) {
  // Flat patches, as pictures of the drawn world have them, of the brightness of a mean colour.
  ModelConfig config = model_preset("nano");
  config.text_rows = 20;
  PretrainModel model(config);
  initialise(model, RandomKey{1});
  const Tensor weight = reshape(model.beit3.vision_embed.proj_weight.detach(), {96, 192});
  const Tensor picture = sum(weight, {1}) * 0.6;
  const double heard = std::sqrt(mean(picture * picture).item<double>());
  EXPECT_GT(heard, 1);  // positions have deviation 1
  EXPECT_LT(heard, 4);
}

}  // namespace
}  // namespace tessera::beit3
