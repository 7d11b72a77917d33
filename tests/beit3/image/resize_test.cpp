#include "beit3/image/resize.h"

#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "beit3/image/decode.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

Filter filter_of(const std::string& name) {
  for (const Filter f : {Filter::nearest, Filter::bilinear, Filter::bicubic, Filter::lanczos}) {
    if (name == to_string(f)) return f;
  }
  ADD_FAILURE() << "no filter " << name;
  return Filter::nearest;
}

TEST(Resize, EqualsPillowToTheLastBit) {
  const std::string folder = "data/images/resize/";
  std::ifstream file(folder + "index.json");
  const auto index = nlohmann::json::parse(file);
  ASSERT_GT(index.size(), 15u);
  for (const auto& entry : index) {
    const std::string result = entry["result"];
    SCOPED_TRACE(result);
    const Image source = read_image(folder + entry["source"].get<std::string>());
    const Image expected = read_image(folder + result);
    Box box{0, 0, static_cast<double>(source.width), static_cast<double>(source.height)};
    if (entry.contains("box")) {
      const auto& b = entry["box"];
      box = {b[0], b[1], b[2], b[3]};
    }
    const Image got =
        resize_box(source, box, entry["height"], entry["width"], filter_of(entry["filter"]));
    EXPECT_TRUE(got == expected);
  }
}

TEST(Resize, KeepsAConstantAndAnUnchangedPicture) {
  const Image flat = make_image(17, 23, {7, 130, 255});
  for (const Filter f : {Filter::nearest, Filter::bilinear, Filter::bicubic, Filter::lanczos}) {
    EXPECT_TRUE(resize(flat, 17, 23, f) == flat);
    EXPECT_TRUE(resize(flat, 5, 64, f) == make_image(5, 64, {7, 130, 255})) << to_string(f);
    EXPECT_TRUE(resize(flat, 1, 1, f) == make_image(1, 1, {7, 130, 255}));
  }
}

TEST(Resize, RefusesWhatCannotBe) {
  const Image image = make_image(4, 4);
  EXPECT_THROW(resize(image, 0, 4), ValueError);
  EXPECT_THROW(resize(image, 1 << 20, 1 << 20), ValueError);
  EXPECT_THROW(resize(Image{}, 4, 4), ValueError);
  EXPECT_THROW(resize_box(image, {0, 0, 5, 4}, 2, 2), ValueError);
  EXPECT_THROW(resize_box(image, {2, 0, 2, 4}, 2, 2), ValueError);
  EXPECT_THROW(crop(image, 2, 2, 3, 1), ValueError);
}

}  // namespace
}  // namespace tessera::beit3
