#include "beit3/image/draw.h"

#include <algorithm>
#include <cstring>

#include "beit3/image/font_internal.h"
#include "beit3/image/resize.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

/// Bytes 10xxxxxx continue a UTF-8 character and take no room of their own.
bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

int64_t letter_count(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return !continues_character(c); });
}

/// Fits a picture into a square cell with its aspect kept.
Image fitted(const Image& image, int64_t cell) {
  const int64_t longer = std::max(image.height, image.width);
  if (cell % longer == 0) return enlarge(image, cell / longer);
  const int64_t height = std::max<int64_t>(1, image.height * cell / longer);
  const int64_t width = std::max<int64_t>(1, image.width * cell / longer);
  return resize(image, height, width, Filter::bicubic);
}

/// The length of the longest prefix with at most `columns` letters, whole characters only.
size_t prefix_bytes(std::string_view text, int64_t columns) {
  size_t end = 0;
  while (end < text.size() && columns > 0) {
    ++end;
    while (end < text.size() && continues_character(text[end])) ++end;
    --columns;
  }
  return end;
}

}  // namespace

void paste(Image& canvas, const Image& image, int64_t top, int64_t left) {
  const int64_t first_row = std::max<int64_t>(0, -top), first_column = std::max<int64_t>(0, -left);
  const int64_t end_row = std::min(image.height, canvas.height - top);
  const int64_t end_column = std::min(image.width, canvas.width - left);
  if (first_column >= end_column) return;
  for (int64_t row = first_row; row < end_row; ++row) {
    std::memcpy(canvas.at(top + row, left + first_column), image.at(row, first_column),
                static_cast<size_t>(3 * (end_column - first_column)));
  }
}

void fill_rectangle(Image& canvas, int64_t top, int64_t left, int64_t height, int64_t width,
                    Rgb colour) {
  const int64_t end_row = std::min(canvas.height, top + height);
  const int64_t end_column = std::min(canvas.width, left + width);
  for (int64_t row = std::max<int64_t>(0, top); row < end_row; ++row) {
    for (int64_t column = std::max<int64_t>(0, left); column < end_column; ++column) {
      uint8_t* p = canvas.at(row, column);
      p[0] = colour.r;
      p[1] = colour.g;
      p[2] = colour.b;
    }
  }
}

void draw_frame(Image& canvas, int64_t top, int64_t left, int64_t height, int64_t width,
                Rgb colour) {
  if (height <= 0 || width <= 0) return;
  fill_rectangle(canvas, top, left, 1, width, colour);
  fill_rectangle(canvas, top + height - 1, left, 1, width, colour);
  fill_rectangle(canvas, top, left, height, 1, colour);
  fill_rectangle(canvas, top, left + width - 1, height, 1, colour);
}

Image enlarge(const Image& image, int64_t factor) {
  check<ValueError>(factor >= 1, "enlarge: the factor is {}; expected at least 1", factor);
  return resize(image, image.height * factor, image.width * factor, Filter::nearest);
}

void draw_text(Image& canvas, int64_t top, int64_t left, std::string_view text, Rgb colour,
               int64_t scale) {
  for (const char c : text) {
    if (continues_character(c)) continue;
    const uint8_t* rows = glyph_rows(c);
    for (int64_t y = 0; y < kGlyphHeight; ++y) {
      for (int64_t x = 0; x < kGlyphWidth; ++x) {
        if ((rows[y] >> (kGlyphWidth - 1 - x) & 1) == 0) continue;
        fill_rectangle(canvas, top + y * scale, left + x * scale, scale, scale, colour);
      }
    }
    left += kLetterStep * scale;
  }
}

int64_t text_width(std::string_view text, int64_t scale) {
  const int64_t letters = letter_count(text);
  return letters == 0 ? 0 : (letters * kLetterStep - 1) * scale;
}

std::vector<std::string> wrap_text(std::string_view text, int64_t columns) {
  check<ValueError>(columns >= 1, "wrap_text: {} columns; expected at least 1", columns);
  std::vector<std::string> lines;
  std::string line;
  const auto finish = [&] {
    if (!line.empty()) lines.push_back(line);
    line.clear();
  };
  size_t at = 0;
  while (at < text.size()) {
    const size_t space = std::min(text.find(' ', at), text.size());
    std::string_view word = text.substr(at, space - at);
    at = space + 1;
    if (word.empty()) continue;
    if (!line.empty() && letter_count(line) + 1 + letter_count(word) > columns) finish();
    while (letter_count(word) > columns) {
      const size_t part = prefix_bytes(word, columns);
      lines.emplace_back(word.substr(0, part));
      word.remove_prefix(part);
    }
    if (!line.empty()) line += ' ';
    line += word;
  }
  finish();
  return lines;
}

Image hide_patches(const Image& image, const std::vector<uint8_t>& mask, int64_t patch,
                   Rgb colour) {
  check<ValueError>(
      patch > 0 && image.height % patch == 0 && image.width % patch == 0 &&
          static_cast<int64_t>(mask.size()) == (image.height / patch) * (image.width / patch),
      "hide_patches: a mask of {} patches of {} pixels does not fit a picture of {} "
      "x {}",
      mask.size(), patch, image.height, image.width);
  Image out = image;
  const int64_t columns = image.width / patch;
  for (size_t i = 0; i < mask.size(); ++i) {
    if (mask[i] == 0) continue;
    const int64_t cell = static_cast<int64_t>(i);
    fill_rectangle(out, cell / columns * patch, cell % columns * patch, patch, patch, colour);
  }
  return out;
}

Image contact_sheet(const std::vector<SheetRow>& rows, const SheetOptions& options) {
  check<ValueError>(!rows.empty(), "contact_sheet: there is no row");
  check<ValueError>(options.cell > 0 && options.gap >= 0 && options.text_scale > 0,
                    "contact_sheet: cell {}, gap {}, text_scale {}; expected > 0, >= 0, > 0",
                    options.cell, options.gap, options.text_scale);
  const int64_t cell = options.cell, gap = options.gap, scale = options.text_scale;
  const int64_t line = kLineStep * scale;
  const int64_t letters = std::max<int64_t>(1, (cell + scale) / (kLetterStep * scale));

  // Labels stand in a column of their own; captions are broken to the width of a cell.
  int64_t columns = 0, label_width = 0;
  std::vector<std::vector<std::vector<std::string>>> captions(rows.size());
  std::vector<int64_t> caption_lines(rows.size(), 0);
  for (size_t r = 0; r < rows.size(); ++r) {
    columns = std::max({columns, static_cast<int64_t>(rows[r].images.size()),
                        static_cast<int64_t>(rows[r].captions.size())});
    label_width = std::max(label_width, text_width(rows[r].label, scale));
    for (const std::string& caption : rows[r].captions) {
      captions[r].push_back(wrap_text(caption, letters));
      caption_lines[r] =
          std::max(caption_lines[r], static_cast<int64_t>(captions[r].back().size()));
    }
  }
  const int64_t left = gap + (label_width > 0 ? label_width + gap : 0);
  const int64_t top = gap + (options.title.empty() ? 0 : line + gap);
  int64_t height = top;
  for (size_t r = 0; r < rows.size(); ++r) {
    height += (rows[r].images.empty() ? 0 : cell + gap) +
              (caption_lines[r] > 0 ? caption_lines[r] * line + gap : 0);
  }
  const int64_t width =
      std::max(left + columns * (cell + gap), 2 * gap + text_width(options.title, scale));

  Image sheet =
      make_image(std::max<int64_t>(height, 1), std::max<int64_t>(width, 1), options.background);
  draw_text(sheet, gap, gap, options.title, options.ink, scale);
  int64_t y = top;
  for (size_t r = 0; r < rows.size(); ++r) {
    const int64_t row_height = rows[r].images.empty() ? line : cell;
    draw_text(sheet, y + (row_height - kGlyphHeight * scale) / 2, gap, rows[r].label, options.ink,
              scale);
    for (size_t i = 0; i < rows[r].images.size(); ++i) {
      if (rows[r].images[i].rgb.empty()) continue;
      const Image picture = fitted(rows[r].images[i], cell);
      paste(sheet, picture, y + (cell - picture.height) / 2,
            left + static_cast<int64_t>(i) * (cell + gap) + (cell - picture.width) / 2);
    }
    if (!rows[r].images.empty()) y += cell + gap;
    for (size_t i = 0; i < captions[r].size(); ++i) {
      for (size_t n = 0; n < captions[r][i].size(); ++n) {
        draw_text(sheet, y + static_cast<int64_t>(n) * line,
                  left + static_cast<int64_t>(i) * (cell + gap), captions[r][i][n], options.ink,
                  scale);
      }
    }
    if (caption_lines[r] > 0) y += caption_lines[r] * line + gap;
  }
  return sheet;
}

}  // namespace tessera::beit3
