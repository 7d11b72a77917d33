#include "beit3/text/utf8.h"

namespace tessera::beit3 {

Utf8Character decode_utf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const auto tail = [&](size_t i) { return static_cast<char32_t>(byte(i) & 0x3F); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  if (lead >= 0xC0 && lead < 0xE0) {
    if (text.size() >= 2 && continues(1)) {
      const char32_t value = (lead & 0x1F) << 6 | tail(1);
      if (value >= 0x80) return {value, 2, true};
    }
  } else if (lead >= 0xE0 && lead < 0xF0) {
    if (text.size() >= 3 && continues(1) && continues(2)) {
      const char32_t value = (lead & 0x0F) << 12 | tail(1) << 6 | tail(2);
      if (value >= 0x800 && (value < 0xD800 || value > 0xDFFF)) return {value, 3, true};
    }
  } else if (lead >= 0xF0 && lead < 0xF8) {
    if (text.size() >= 4 && continues(1) && continues(2) && continues(3)) {
      const char32_t value = (lead & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3);
      if (value >= 0x10000 && value <= 0x10FFFF) return {value, 4, true};
    }
  }
  return {kReplacementCharacter, 1, false};
}

bool is_whitespace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

void append_utf8(std::string& out, char32_t value) {
  if (value < 0x80) {
    out += static_cast<char>(value);
    return;
  }
  if (value < 0x800) {
    out += static_cast<char>(0xC0 | value >> 6);
  } else {
    if (value < 0x10000) {
      out += static_cast<char>(0xE0 | value >> 12);
    } else {
      out += static_cast<char>(0xF0 | value >> 18);
      out += static_cast<char>(0x80 | (value >> 12 & 0x3F));
    }
    out += static_cast<char>(0x80 | (value >> 6 & 0x3F));
  }
  out += static_cast<char>(0x80 | (value & 0x3F));
}

std::u32string to_code_points(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Character c = decode_utf8(text);
    out += c.value;
    text.remove_prefix(c.bytes);
  }
  return out;
}

std::string to_utf8(std::u32string_view code_points) {
  std::string out;
  out.reserve(code_points.size());
  for (const char32_t c : code_points) append_utf8(out, c);
  return out;
}

}  // namespace tessera::beit3
