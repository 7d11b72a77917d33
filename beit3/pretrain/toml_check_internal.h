#pragma once

#include <string>
#include <string_view>

namespace tessera::beit3::detail {

/// Refuses TOML that the parser must not see, because it would do harm instead of refusing it
/// (toml++ 3.3): it makes a table of each part of a key, one inside the other, without a limit; and
/// it reads letters outside ASCII, where they stand outside quotes, as what cannot happen.
///
/// All else is left to the parser. Throws ValueError with `file` and line.
void check_toml(std::string_view text, const std::string& file);

}  // namespace tessera::beit3::detail
