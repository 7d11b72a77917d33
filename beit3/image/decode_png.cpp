#include <cstdlib>
#include <cstring>
#include <string_view>

#include "beit3/image/codecs_internal.h"
#include "beit3/image/decode.h"
#include "tensor/base/error.h"

namespace {

/// The largest single block the PNG decoder may ask for while this thread decodes: a small file can
/// unpack to a thousand times its size, and stb_image by itself would follow.
thread_local size_t block_limit_bytes = 0;

void* bounded_malloc(size_t size_bytes) {
  return size_bytes <= block_limit_bytes ? std::malloc(size_bytes) : nullptr;
}

void* bounded_realloc(void* block, size_t size_bytes) {
  return size_bytes <= block_limit_bytes ? std::realloc(block, size_bytes) : nullptr;
}

}  // namespace

#define STBI_MALLOC(size) bounded_malloc(size)
#define STBI_REALLOC(block, size) bounded_realloc(block, size)
#define STBI_FREE(block) std::free(block)
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace tessera::beit3 {
namespace {

uint32_t big_endian(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) << 24 | static_cast<uint32_t>(p[1]) << 16 |
         static_cast<uint32_t>(p[2]) << 8 | p[3];
}

void put_big_endian(std::vector<uint8_t>& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(value >> shift));
}

void put_chunk(std::vector<uint8_t>& out, std::string_view type, const uint8_t* data,
               size_t size_bytes) {
  put_big_endian(out, static_cast<uint32_t>(size_bytes));
  out.insert(out.end(), type.begin(), type.end());
  out.insert(out.end(), data, data + size_bytes);
  put_big_endian(out, 0);  // stb_image does not look at checksums; ours were checked already
}

struct Header {
  int64_t width = 0, height = 0;
  int depth = 0, colour_type = 0;
};

Header read_header(const uint8_t* data, size_t size_bytes, const std::string& name) {
  check<IoError>(size_bytes == 13, "decode: PNG \"{}\" has a header of {} bytes, not 13", name,
                 size_bytes);
  const Header header{big_endian(data), big_endian(data + 4), data[8], data[9]};
  check<IoError>(header.width > 0 && header.height > 0, "decode: PNG \"{}\" has no pixels: {} x {}",
                 name, header.width, header.height);
  check<IoError>(header.width <= kMaxPixels / header.height,
                 "decode: PNG \"{}\" is {} x {}; at most {} pixels are read", name, header.width,
                 header.height, kMaxPixels);
  return header;
}

/// Checks the chunks and copies those that make up the picture. What it leaves out (transparency,
/// texts, animation) does not change the RGB values; a short palette is filled up with black, as
/// Pillow does, because a damaged picture may point beyond its end.
std::vector<uint8_t> checked_chunks(const uint8_t* bytes, size_t size_bytes, Header& header,
                                    const std::string& name) {
  std::vector<uint8_t> out(bytes, bytes + 8);
  bool seen_header = false, seen_palette = false, seen_data = false;
  for (size_t at = 8;;) {
    check<IoError>(size_bytes - at >= 12, "decode: PNG \"{}\" is truncated after {} bytes", name,
                   size_bytes);
    const size_t length_bytes = big_endian(bytes + at);
    const uint8_t* type = bytes + at + 4;
    const uint8_t* data = bytes + at + 8;
    check<IoError>(length_bytes <= size_bytes - at - 12,
                   "decode: PNG \"{}\" is truncated: a chunk at byte {} has {} bytes, the file {}",
                   name, at, length_bytes, size_bytes);
    const std::string_view kind(reinterpret_cast<const char*>(type), 4);
    const bool critical = (type[0] & 32) == 0;  // upper-case first letter
    if (critical) {
      check<IoError>(crc32(type, length_bytes + 4) == big_endian(data + length_bytes),
                     "decode: PNG \"{}\" is damaged: wrong checksum of the chunk at byte {}", name,
                     at);
    }
    check<IoError>(kind != "CgBI", "decode: PNG \"{}\" is Apple's CgBI variant, which is not PNG",
                   name);
    check<IoError>(seen_header == (kind != "IHDR"),
                   "decode: PNG \"{}\" does not begin with one header chunk", name);
    if (kind == "IHDR") {
      header = read_header(data, length_bytes, name);
      seen_header = true;
      put_chunk(out, kind, data, length_bytes);
    } else if (kind == "PLTE") {
      check<IoError>(!seen_palette && !seen_data && length_bytes <= 768 && length_bytes % 3 == 0,
                     "decode: PNG \"{}\" has a malformed or misplaced palette", name);
      seen_palette = true;
      std::vector<uint8_t> palette(768);
      std::copy(data, data + length_bytes, palette.begin());
      if (header.colour_type == 3) put_chunk(out, kind, palette.data(), palette.size());
    } else if (kind == "IDAT") {
      seen_data = true;
      if (length_bytes > 0) put_chunk(out, kind, data, length_bytes);  // stb_image trips over none
    } else if (kind == "IEND") {
      break;
    } else {
      check<IoError>(!critical, "decode: PNG \"{}\" has an unknown critical chunk at byte {}", name,
                     at);
    }
    at += 12 + length_bytes;
  }
  check<IoError>(seen_data, "decode: PNG \"{}\" has no picture data", name);
  put_chunk(out, "IEND", nullptr, 0);
  return out;
}

}  // namespace

Image decode_png(const uint8_t* bytes, size_t size_bytes, const std::string& name) {
  Header header;
  const std::vector<uint8_t> clean = checked_chunks(bytes, size_bytes, header, name);
  // A pixel takes at most 8 bytes (16-bit RGBA) and a row a few more for its filter and the seven
  // passes of interlacing; growing buffers may be twice what they hold.
  const size_t pixels = static_cast<size_t>(header.width * header.height);
  block_limit_bytes =
      2 * (8 * pixels + 64 * static_cast<size_t>(header.height)) + clean.size() + (size_t{1} << 16);
  int width = 0, height = 0, channels = 0;
  uint8_t* pixels_read = stbi_load_from_memory(clean.data(), static_cast<int>(clean.size()), &width,
                                               &height, &channels, 3);
  if (pixels_read == nullptr) {
    std::string_view reason = stbi_failure_reason();
    if (reason == "outofmem") reason = "it unpacks to more than a picture of its size needs";
    fail<IoError>("decode: PNG \"{}\" is damaged: {}", name, reason);
  }
  Image image{height, width, {}};
  try {
    image.rgb.assign(pixels_read, pixels_read + 3 * pixels);
  } catch (...) {
    stbi_image_free(pixels_read);
    throw;
  }
  stbi_image_free(pixels_read);
  return image;
}

}  // namespace tessera::beit3
