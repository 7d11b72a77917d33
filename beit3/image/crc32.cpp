#include <array>

#include "beit3/image/codecs_internal.h"

namespace tessera::beit3 {

uint32_t crc32(const uint8_t* bytes, size_t size_bytes) {
  static const std::array<uint32_t, 256> kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t n = 0; n < 256; ++n) {
      uint32_t value = n;
      for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0u);
      table[n] = value;
    }
    return table;
  }();
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t i = 0; i < size_bytes; ++i) crc = crc >> 8 ^ kTable[(crc ^ bytes[i]) & 255];
  return ~crc;
}

}  // namespace tessera::beit3
