#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "beit3/image/image.h"

namespace tessera::beit3 {

/// The picture as the bytes of an 8-bit RGB PNG file; decoding them gives the picture back exactly.
/// Throws ValueError if the picture has no pixels.
std::vector<uint8_t> encode_png(const Image& image);

/// The same without compression, some twenty times faster: for many small noisy pictures, which
/// compression would shorten by a fifth only.
std::vector<uint8_t> encode_png_stored(const Image& image);

/// Writes a PNG file, whole or not at all (see `write_file_atomically`). Throws IoError.
void write_png(const std::string& path, const Image& image);

}  // namespace tessera::beit3
