#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "beit3/image/image.h"

namespace tessera::beit3 {

/// The two decoders behind `decode_image`; the bytes are known to begin with the format's
/// signature.
Image decode_jpeg(const uint8_t* bytes, size_t size_bytes, const std::string& name);
Image decode_png(const uint8_t* bytes, size_t size_bytes, const std::string& name);

/// The checksum of PNG chunks: CRC-32, reflected polynomial 0xEDB88320.
uint32_t crc32(const uint8_t* bytes, size_t size_bytes);

}  // namespace tessera::beit3
