// Pictures that must be refused, each with the exact error. The many of torture.tar are in
// decode_test.cpp.
#include <functional>

#include <gtest/gtest.h>

#include "beit3/data/tar.h"
#include "beit3/image/codecs_internal.h"
#include "beit3/image/decode.h"
#include "beit3/image/encode.h"
#include "tensor/base/error.h"
#include "tests/testing/errors.h"

namespace tessera::beit3 {
namespace {

struct Corrupt {
  const char* name;
  std::string bytes;
  const char* error;
};

std::string big_endian(uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string checked = type + data;
  return big_endian(data.size(), 4) + checked +
         big_endian(crc32(reinterpret_cast<const uint8_t*>(checked.data()), checked.size()), 4);
}

const std::string kPng = "\x89PNG\r\n\x1A\n";

std::string header(int64_t width, int64_t height) {
  const auto number = [](int64_t n) { return big_endian(static_cast<uint64_t>(n), 4); };
  return chunk("IHDR", number(width) + number(height) + std::string("\x08\x02\0\0\0", 5));
}

/// A sound picture of 3 x 2 pixels: its chunks begin at bytes 8, 33 and (the last) 12 before the
/// end.
std::string sound_png() {
  const std::vector<uint8_t> bytes = encode_png(make_image(2, 3, {1, 2, 3}));
  return {bytes.begin(), bytes.end()};
}

std::string changed(std::string bytes, const std::function<void(std::string&)>& change) {
  change(bytes);
  return bytes;
}

std::string jpeg(const char* member) {
  const auto bytes = TarIndex("data/images/torture.tar").read(member);
  return {bytes.begin(), bytes.end()};
}

/// A JPEG that ends after its frame header.
std::string jpeg_frame(int height, int width, int components) {
  std::string frame = "\x08" + big_endian(static_cast<uint64_t>(height), 2) +
                      big_endian(static_cast<uint64_t>(width), 2) + static_cast<char>(components);
  for (int i = 0; i < components; ++i) frame += static_cast<char>(i + 1) + std::string("\x11\0", 2);
  const std::string scan = static_cast<char>(components) + [&] {
    std::string all;
    for (int i = 0; i < components; ++i) all += static_cast<char>(i + 1) + std::string(1, '\0');
    return all;
  }() + std::string("\0\x3f\0", 3);
  const auto segment = [](const char* marker, const std::string& data) {
    return marker + big_endian(data.size() + 2, 2) + data;
  };
  return "\xFF\xD8" + segment("\xFF\xC0", frame) + segment("\xFF\xDA", scan);
}

std::vector<Corrupt> cases() {
  const std::string png = sound_png();
  const std::string end = chunk("IEND", "");
  const std::string small = header(1, 1);
  return {
      {"nothing", "", "decode: \"x\" is empty"},
      {"text", "hello", "decode: \"x\" is neither a JPEG nor a PNG file"},
      {"cut_signature", "\x89PNG", "decode: \"x\" is neither a JPEG nor a PNG file"},
      {"gif", "GIF89a", "decode: \"x\" is a GIF; only JPEG and PNG are read"},
      {"bmp", "BM1234", "decode: \"x\" is a BMP; only JPEG and PNG are read"},
      {"webp", "RIFF1234WEBP",
       "decode: \"x\" is a WebP or another RIFF file; only JPEG and PNG are read"},
      {"tiff", std::string("II*\0", 4), "decode: \"x\" is a TIFF; only JPEG and PNG are read"},
      {"tiff_of_the_other_order", std::string("MM\0*", 4),
       "decode: \"x\" is a TIFF; only JPEG and PNG are read"},
      {"png_signature_alone", kPng, "decode: PNG \"x\" is truncated after 8 bytes"},
      {"png_without_end", png.substr(0, png.size() - 12),
       "decode: PNG \"x\" is truncated after 63 bytes"},
      {"png_with_a_chunk_beyond_the_end", kPng + big_endian(1000, 4) + "IHDR" + std::string(8, 'x'),
       "decode: PNG \"x\" is truncated: a chunk at byte 8 has 1000 bytes, the file 24"},
      {"png_with_a_chunk_of_4_gigabytes", kPng + "\xFF\xFF\xFF\xFFIHDR" + std::string(8, 'x'),
       "decode: PNG \"x\" is truncated: a chunk at byte 8 has 4294967295 bytes, the file 24"},
      {"png_with_changed_width", changed(png, [](std::string& b) { b[19] ^= 1; }),
       "decode: PNG \"x\" is damaged: wrong checksum of the chunk at byte 8"},
      {"png_with_changed_pixels", changed(png, [](std::string& b) { b[45] ^= 1; }),
       "decode: PNG \"x\" is damaged: wrong checksum of the chunk at byte 33"},
      {"png_with_a_short_header", kPng + chunk("IHDR", "1234") + end,
       "decode: PNG \"x\" has a header of 4 bytes, not 13"},
      {"png_without_width", kPng + header(0, 5) + end, "decode: PNG \"x\" has no pixels: 0 x 5"},
      {"png_of_too_many_pixels", kPng + header(100'000, 100'000) + end,
       "decode: PNG \"x\" is 100000 x 100000; at most 100000000 pixels are read"},
      {"png_without_header", kPng + chunk("IDAT", "x") + end,
       "decode: PNG \"x\" does not begin with one header chunk"},
      {"png_with_two_headers", kPng + small + small + end,
       "decode: PNG \"x\" does not begin with one header chunk"},
      {"png_without_data", kPng + small + end, "decode: PNG \"x\" has no picture data"},
      {"png_with_a_palette_of_four_bytes", kPng + small + chunk("PLTE", "1234") + end,
       "decode: PNG \"x\" has a malformed or misplaced palette"},
      {"png_with_an_unknown_chunk", kPng + small + chunk("ABCD", "") + end,
       "decode: PNG \"x\" has an unknown critical chunk at byte 33"},
      {"png_of_apple", kPng + small + chunk("CgBI", "") + end,
       "decode: PNG \"x\" is Apple's CgBI variant, which is not PNG"},
      {"png_with_data_that_is_no_zlib", kPng + small + chunk("IDAT", "xxxxxxxx") + end,
       "decode: PNG \"x\" is damaged: bad zlib header"},
      {"png_with_too_little_data", kPng + header(40, 40) + png.substr(33),
       "decode: PNG \"x\" is damaged: not enough pixels"},
      {"jpeg_signature_alone", "\xFF\xD8", "decode: JPEG \"x\" is truncated after 2 bytes"},
      {"jpeg_of_nothing_more", "\xFF\xD8\xFF\xD9",
       "decode: JPEG \"x\" cannot be read: JPEG datastream contains no image"},
      {"jpeg_without_height", jpeg_frame(0, 8, 1),
       "decode: JPEG \"x\" cannot be read: Empty JPEG image (DNL not supported)"},
      {"jpeg_of_too_many_pixels", jpeg_frame(50'000, 50'000, 1),
       "decode: JPEG \"x\" cannot be read: it has 50000 x 50000 pixels; at most 100000000 are "
       "read"},
      {"jpeg_of_two_components", jpeg_frame(8, 8, 2),
       "decode: JPEG \"x\" cannot be read: it has 2 colour components; expected 1, 3 or 4"},
      {"jpeg_without_tables", jpeg_frame(8, 8, 1),
       "decode: JPEG \"x\" cannot be read: Quantization table 0x00 was not defined"},
      {"jpeg_cut_in_half", jpeg("jpeg/jpeg-decoder/jpg-size-16x16.jpg").substr(0, 340),
       "decode: JPEG \"x\" is truncated after 340 bytes"},
  };
}

class CorruptPicture : public ::testing::TestWithParam<Corrupt> {};

TEST_P(CorruptPicture, IsRefused) {
  const std::string& bytes = GetParam().bytes;
  EXPECT_ERROR(decode_image(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), "x"),
               IoError, GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(Files, CorruptPicture, ::testing::ValuesIn(cases()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace tessera::beit3
