#include "beit3/json/json.h"

#include <algorithm>

#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

/// Depth of brackets outside strings. Counted before anything is parsed: values that deep would
/// overflow the stack of whoever walks through them.
int nesting(std::string_view text) {
  int depth = 0, deepest = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

Json parse(std::string_view text, bool may_throw) {
  check<IoError>(nesting(text) <= kMaxJsonDepth, "JSON is nested more than {} deep", kMaxJsonDepth);
  return Json::parse(text, nullptr, may_throw);
}

}  // namespace

Json parse_json(std::string_view text) { return parse(text, true); }

Json try_parse_json(std::string_view text) { return parse(text, false); }

std::string json_text(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace tessera::beit3
