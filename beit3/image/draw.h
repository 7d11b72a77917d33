#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "beit3/image/image.h"

namespace tessera::beit3 {

/// Copies `image` onto `canvas` with its upper left corner at (top, left); what falls outside is
/// left out.
void paste(Image& canvas, const Image& image, int64_t top, int64_t left);

/// Fills a rectangle, cut at the edges of the canvas.
void fill_rectangle(Image& canvas, int64_t top, int64_t left, int64_t height, int64_t width,
                    Rgb colour);

/// Draws the one-pixel outline of a rectangle, cut at the edges of the canvas.
void draw_frame(Image& canvas, int64_t top, int64_t left, int64_t height, int64_t width,
                Rgb colour);

/// Every pixel as a square of factor x factor pixels. Throws ValueError if factor < 1.
Image enlarge(const Image& image, int64_t factor);

/// Size of a letter in pixels at scale 1: 5 x 7, and one column and two rows between letters.
inline constexpr int64_t kGlyphWidth = 5, kGlyphHeight = 7;
inline constexpr int64_t kLetterStep = kGlyphWidth + 1, kLineStep = kGlyphHeight + 2;

/// Draws one line of printable ASCII in a built-in bitmap font; other bytes of UTF-8 text show as
/// one box a character. `scale` whole times enlarged.
void draw_text(Image& canvas, int64_t top, int64_t left, std::string_view text, Rgb colour = {},
               int64_t scale = 1);

/// Width of that line in pixels.
int64_t text_width(std::string_view text, int64_t scale = 1);

/// Breaks a text at spaces into lines of at most `columns` letters; longer words are cut.
std::vector<std::string> wrap_text(std::string_view text, int64_t columns);

/// Paints masked patches over with one colour: patch (r, c) of a grid of `patch` x `patch` pixels
/// is masked if mask[r * columns + c] is not 0. Throws ValueError if the sizes do not fit.
Image hide_patches(const Image& image, const std::vector<uint8_t>& mask, int64_t patch,
                   Rgb colour = {128, 128, 128});

/// One row of a contact sheet: a label to its left, pictures, and maybe a caption under each.
struct SheetRow {
  std::string label;
  std::vector<Image> images;
  std::vector<std::string> captions;
};

struct SheetOptions {
  std::string title;
  int64_t cell = 128;      // side of a picture on the sheet
  int64_t gap = 6;         // pixels between pictures
  int64_t text_scale = 1;  // 1: letters of 5 x 7 pixels
  Rgb background{255, 255, 255}, ink{0, 0, 0};
};

/// Arranges pictures in rows with labels and captions. Pictures are fitted into their cell with
/// their aspect kept: enlarged by whole factors where that fits, else bicubic. A picture without
/// pixels leaves its cell empty. Throws ValueError if there is no row or the sheet gets too large.
Image contact_sheet(const std::vector<SheetRow>& rows, const SheetOptions& options = {});

}  // namespace tessera::beit3
