#pragma once

#include <string_view>

namespace tessera::beit3::cli {

/// The version of this build, "0.1.0".
std::string_view version();

}  // namespace tessera::beit3::cli
