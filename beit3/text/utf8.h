#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace tessera::beit3 {

/// What stands for an ill-formed byte.
inline constexpr char32_t kReplacementCharacter = 0xFFFD;

/// U+2581, the visible stand-in for a space inside pieces.
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

/// One decoded character. An ill-formed byte has value U+FFFD and length 1 (a genuine U+FFFD has
/// length 3).
struct Utf8Character {
  char32_t value;
  size_t bytes;
  bool well_formed;
};

/// Decodes the first character of `text`, which must not be empty, by the strict rules: no overlong
/// forms, no surrogates, nothing above 10FFFF. Source: The Unicode Standard, table 3-7.
Utf8Character decode_utf8(std::string_view text);

/// Length that the lead byte announces, clipped to `remaining`; 1 for a continuation byte.
/// Does not look at the following bytes.
inline size_t lead_length(char lead, size_t remaining) {
  const auto byte = static_cast<unsigned char>(lead);
  const size_t bytes = byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
  return std::min(bytes, remaining);
}

/// Number of characters by their lead bytes, without looking at the others.
inline size_t character_count(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); ++count) at += lead_length(text[at], text.size() - at);
  return count;
}

/// True for the blanks of the reference implementations, which strip and split texts in Python.
bool is_whitespace(char32_t c);

/// Appends the UTF-8 form of a code point below 110000 hex.
void append_utf8(std::string& out, char32_t value);

/// All code points of `text`; every ill-formed byte becomes U+FFFD.
std::u32string to_code_points(std::string_view text);

/// The UTF-8 form of a sequence of code points.
std::string to_utf8(std::u32string_view code_points);

}  // namespace tessera::beit3
