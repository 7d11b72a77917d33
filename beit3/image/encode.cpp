#include "beit3/image/encode.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "beit3/image/codecs_internal.h"
#include "beit3/image/files.h"
#include "tensor/base/error.h"

#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wshadow"
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace tessera::beit3 {
namespace {

void check_image(const Image& image) {
  check<ValueError>(image.height > 0 && image.width > 0 && image.width < (1 << 28) &&
                        image.rgb.size() == static_cast<size_t>(3 * image.height * image.width),
                    "encode_png: a picture of {} x {} with {} bytes cannot be written",
                    image.height, image.width, image.rgb.size());
}

void put_big_endian(std::vector<uint8_t>& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(value >> shift));
}

void put_chunk(std::vector<uint8_t>& out, std::string_view type, const std::vector<uint8_t>& data) {
  put_big_endian(out, static_cast<uint32_t>(data.size()));
  const size_t start = out.size();
  out.insert(out.end(), type.begin(), type.end());
  out.insert(out.end(), data.begin(), data.end());
  put_big_endian(out, crc32(out.data() + start, out.size() - start));
}

/// The checksum that ends a zlib stream.
uint32_t adler32(const std::vector<uint8_t>& bytes) {
  uint32_t a = 1, b = 0;
  for (size_t i = 0; i < bytes.size();) {
    const size_t end = std::min(bytes.size(), i + 5552);  // as many as cannot overflow b
    for (; i < end; ++i) b += a += bytes[i];
    a %= 65521;
    b %= 65521;
  }
  return b << 16 | a;
}

/// A zlib stream of stored blocks.
std::vector<uint8_t> zlib_stored(const std::vector<uint8_t>& bytes) {
  constexpr size_t kBlockBytes = 65535;
  std::vector<uint8_t> out = {0x78, 0x01};
  for (size_t at = 0; at < bytes.size(); at += kBlockBytes) {
    const size_t length = std::min(kBlockBytes, bytes.size() - at);
    const uint8_t low = static_cast<uint8_t>(length), high = static_cast<uint8_t>(length >> 8);
    const uint8_t last = at + length == bytes.size() ? 1 : 0;
    out.insert(out.end(),
               {last, low, high, static_cast<uint8_t>(~low), static_cast<uint8_t>(~high)});
    const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    out.insert(out.end(), first, first + static_cast<std::ptrdiff_t>(length));
  }
  put_big_endian(out, adler32(bytes));
  return out;
}

}  // namespace

std::vector<uint8_t> encode_png(const Image& image) {
  check_image(image);
  std::vector<uint8_t> out;
  const auto append = [](void* context, void* data, int size_bytes) {
    auto& bytes = *static_cast<std::vector<uint8_t>*>(context);
    const auto* first = static_cast<const uint8_t*>(data);
    bytes.insert(bytes.end(), first, first + size_bytes);
  };
  const int done = stbi_write_png_to_func(append, &out, static_cast<int>(image.width),
                                          static_cast<int>(image.height), 3, image.rgb.data(),
                                          static_cast<int>(3 * image.width));
  check<IoError>(done != 0, "encode_png: no memory for a picture of {} x {}", image.height,
                 image.width);
  return out;
}

std::vector<uint8_t> encode_png_stored(const Image& image) {
  check_image(image);
  check<ValueError>(image.rgb.size() < (size_t{1} << 30), "encode_png_stored: {} x {} is too large",
                    image.height, image.width);
  std::vector<uint8_t> header, rows;
  put_big_endian(header, static_cast<uint32_t>(image.width));
  put_big_endian(header, static_cast<uint32_t>(image.height));
  header.insert(header.end(), {8, 2, 0, 0, 0});  // 8 bits, RGB, not interlaced
  rows.reserve(image.rgb.size() + static_cast<size_t>(image.height));
  for (int64_t row = 0; row < image.height; ++row) {
    rows.push_back(0);  // no filter
    rows.insert(rows.end(), image.at(row, 0), image.at(row, 0) + 3 * image.width);
  }
  std::vector<uint8_t> out = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  put_chunk(out, "IHDR", header);
  put_chunk(out, "IDAT", zlib_stored(rows));
  put_chunk(out, "IEND", {});
  return out;
}

void write_png(const std::string& path, const Image& image) {
  write_file_atomically(path, encode_png(image));
}

}  // namespace tessera::beit3
