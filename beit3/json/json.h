#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace tessera::beit3 {

// JSON (RFC 8259) is read and written here alone: files come from strangers, and the parser, which
// is a template, is compiled once.

/// A value of JSON. Objects keep the order of their fields.
using Json = nlohmann::ordered_json;

/// Lists and objects within each other, at most.
inline constexpr int kMaxJsonDepth = 64;

/// The value that fills the whole of a text. Throws Json::exception where it is no JSON, and
/// IoError where it is nested more than kMaxJsonDepth deep.
Json parse_json(std::string_view text);

/// The same, but a text that is no JSON gives a value with `is_discarded()`, which is neither an
/// object nor a list nor anything else.
Json try_parse_json(std::string_view text);

/// The text of a value: one line, or one field a line, each level `indent` spaces further in. Bytes
/// of strings that are not UTF-8 become U+FFFD.
std::string json_text(const Json& value, int indent = -1);

}  // namespace tessera::beit3
