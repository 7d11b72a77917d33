#include "tensor/base/error.h"

#include <cstdio>

namespace tessera::detail {

void append(std::string& out, std::string_view value) { out += value; }

void append(std::string& out, bool value) { out += value ? "true" : "false"; }

void append(std::string& out, long long value) { out += std::to_string(value); }

void append(std::string& out, unsigned long long value) { out += std::to_string(value); }

void append(std::string& out, double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  out += text;
}

std::string_view copy_until_hole(std::string& out, std::string_view pattern) {
  const size_t hole = pattern.find("{}");
  if (hole == std::string_view::npos) {  // more arguments than holes: show them all the same
    out += pattern;
    out += ' ';
    return {};
  }
  out += pattern.substr(0, hole);
  return pattern.substr(hole + 2);
}

}  // namespace tessera::detail

std::string tessera::hex_digits(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}
