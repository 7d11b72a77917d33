#include "beit3/vqkd/sheets.h"

#include "tests/beit3/vqkd/vqkd_testing.h"

namespace tessera::beit3 {
namespace {

TEST(VqkdSheetsTest, Reconstructions) {
  const Vqkd vq({.image_size = 16, .patch = 8, .width = 16, .heads = 2, .codes = 8}, RandomKey{1});
  const Image sheet = reconstruction_sheet(vq, testing::blobs(5, 16, RandomKey{2}), 3);
  EXPECT_GT(sheet.height, 4 * 128);
  EXPECT_GT(sheet.width, 3 * 128);
}

TEST(VqkdSheetsTest, MeanPatchOfEachCode) {
  CodeMeans means(3, 8);
  // Two pictures of one patch row: black and white patches have code 2, grey ones code 0.
  const Tensor images = concat({zeros({1, 3, 8, 8}), ones({1, 3, 8, 8}), full({1, 3, 8, 8}, 0.2)});
  means.add(images, from_data(std::vector<int64_t>{2, 2, 0}, {3}));
  EXPECT_EQ(means.counts(), (std::vector<int64_t>{1, 0, 2}));
  EXPECT_EQ(*means.mean(2).at(3, 3), 128);
  EXPECT_EQ(*means.mean(0).at(0, 0), 51);
  EXPECT_TRUE(means.mean(1).rgb.empty());
  EXPECT_GT(code_sheet(means).width, 0);
  EXPECT_THROW(means.add(images, from_data(std::vector<int64_t>{2, 2}, {2})), ShapeError);
  EXPECT_THROW(means.mean(3), IndexError);
}

}  // namespace
}  // namespace tessera::beit3
