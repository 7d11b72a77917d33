#pragma once

#include <string>
#include <string_view>

namespace tessera::beit3::detail {

/// The same TOML in ASCII: letters beyond it become escapes in texts (a text in single quotes one
/// in double quotes) and go away in comments. Lines stay where they are.
///
/// For the sake of the parser (toml++ 3.3): it takes letters outside ASCII, where they stand
/// outside quotes, for what cannot happen. It also makes a table of each part of a key, one inside
/// the other, without a limit, so keys of many parts are refused.
///
/// Throws ValueError, with `file` and line, for these keys, bytes that are no UTF-8, and letters
/// outside ASCII that stand neither in a text nor in a comment. All else is left to the parser.
std::string ascii_toml(std::string_view text, const std::string& file);

}  // namespace tessera::beit3::detail
