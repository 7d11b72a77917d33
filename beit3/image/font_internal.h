#pragma once

#include <cstdint>

namespace tessera::beit3 {

/// Seven rows of five bits (bit 4 leftmost) of a printable ASCII character; a box for any other.
const uint8_t* glyph_rows(char character);

}  // namespace tessera::beit3
