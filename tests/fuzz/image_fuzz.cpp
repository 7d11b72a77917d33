// Pictures. A PNG is also read with its checksums made right, so that what they protect is reached.
#include "beit3/image/codecs_internal.h"
#include "beit3/image/decode.h"
#include "tests/fuzz/fuzzing.h"

using namespace tessera;
using namespace tessera::beit3;

namespace {

std::vector<uint8_t> with_right_checksums(std::vector<uint8_t> png) {
  constexpr size_t kSignature = 8, kAround = 12;  // length, type and checksum of a chunk
  for (size_t at = kSignature; at + kAround <= png.size();) {
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | png[at + i];
    if (length > png.size() - at - kAround) break;
    const uint32_t checksum = crc32(png.data() + at + 4, length + 4);
    for (size_t i = 0; i < 4; ++i) {
      png[at + 8 + length + i] = static_cast<uint8_t>(checksum >> (24 - 8 * i));
    }
    at += kAround + length;
  }
  return png;
}

void decode(const std::vector<uint8_t>& bytes) {
  fuzzing::reads_or_refuses("the picture", [&] {
    const Image image = decode_image(bytes, "the picture");
    fuzzing::require(image.height > 0 && image.width > 0, "a picture has pixels");
    fuzzing::require(image.rgb.size() == static_cast<size_t>(3 * image.height * image.width),
                     "three bytes a pixel");
  });
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  const std::vector<uint8_t> bytes(data, data + size_bytes);
  decode(bytes);
  if (size_bytes > 8 && bytes[0] == 0x89) decode(with_right_checksums(bytes));
  return 0;
}
