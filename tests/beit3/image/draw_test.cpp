#include "beit3/image/draw.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

int64_t dark_pixels(const Image& image) {
  int64_t count = 0;
  for (size_t i = 0; i < image.rgb.size(); i += 3) count += image.rgb[i] < 128;
  return count;
}

TEST(Draw, PastesAndFillsOnlyInside) {
  Image canvas = make_image(4, 4, {255, 255, 255});
  paste(canvas, make_image(3, 3), -2, -2);
  EXPECT_EQ(dark_pixels(canvas), 1);
  paste(canvas, make_image(3, 3), 3, 2);
  EXPECT_EQ(dark_pixels(canvas), 3);
  paste(canvas, make_image(3, 3), 10, 10);
  fill_rectangle(canvas, -5, -5, 100, 100, {});
  EXPECT_EQ(dark_pixels(canvas), 16);
  draw_frame(canvas, 0, 0, 4, 4, {255, 255, 255});
  EXPECT_EQ(dark_pixels(canvas), 4);
}

TEST(Draw, EveryPrintableLetterHasInkOfItsOwn) {
  std::vector<Image> letters;
  for (char c = ' '; c <= '~'; ++c) {
    Image canvas = make_image(kGlyphHeight, kGlyphWidth, {255, 255, 255});
    draw_text(canvas, 0, 0, std::string(1, c));
    EXPECT_EQ(dark_pixels(canvas) > 0, c != ' ') << c;
    for (const Image& other : letters) EXPECT_FALSE(other == canvas) << c;
    letters.push_back(canvas);
  }
}

TEST(Draw, MeasuresAndWrapsText) {
  EXPECT_EQ(text_width(""), 0);
  EXPECT_EQ(text_width("abc"), 17);
  EXPECT_EQ(text_width("\xC3\xA9", 2), 10);  // one letter of two bytes
  EXPECT_EQ(wrap_text("a small red circle", 8),
            (std::vector<std::string>{"a small", "red", "circle"}));
  EXPECT_EQ(wrap_text("abcdefgh ij", 3), (std::vector<std::string>{"abc", "def", "gh", "ij"}));
  EXPECT_EQ(wrap_text("\xC3\xA9\xC3\xA9\xC3\xA9", 2),
            (std::vector<std::string>{"\xC3\xA9\xC3\xA9", "\xC3\xA9"}));
  EXPECT_TRUE(wrap_text("  ", 3).empty());
}

TEST(Draw, HidesPatches) {
  const Image image = make_image(4, 6, {255, 255, 255});
  const Image hidden = hide_patches(image, {0, 1, 0, 0, 0, 1}, 2, {});
  EXPECT_EQ(dark_pixels(hidden), 8);
  EXPECT_EQ(hidden.at(0, 2)[0], 0);
  EXPECT_EQ(hidden.at(2, 4)[0], 0);
  EXPECT_THROW(hide_patches(image, {0, 1}, 2), ValueError);
}

TEST(ContactSheet, HoldsPicturesOfAnySizeAndTexts) {
  const std::vector<SheetRow> rows = {
      {"picture", {make_image(8, 8), make_image(10, 20), Image{}}, {"a red circle", "", "c"}},
      {"only text", {}, {"one", "two", "three"}},
      {"", {make_image(3, 3)}, {}}};
  const Image sheet = contact_sheet(rows, {.title = "Title", .cell = 32, .gap = 4});
  EXPECT_EQ(sheet.width, 4 + text_width("only text") + 4 + 3 * 36);
  EXPECT_GT(dark_pixels(sheet), 32 * 32 + 16 * 32 + 32 * 32);
  EXPECT_TRUE(contact_sheet(rows) == contact_sheet(rows));
  EXPECT_THROW(contact_sheet({}), ValueError);
  EXPECT_EQ(enlarge(make_image(2, 3), 4).width, 12);
  EXPECT_THROW(enlarge(make_image(2, 3), 0), ValueError);
}

}  // namespace
}  // namespace tessera::beit3
