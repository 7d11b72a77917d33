#include "beit3/image/decode.h"

#include <cstring>
#include <string_view>

#include "beit3/image/codecs_internal.h"
#include "beit3/image/files.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

bool starts_with(const uint8_t* bytes, size_t size_bytes, std::string_view prefix) {
  return size_bytes >= prefix.size() && std::memcmp(bytes, prefix.data(), prefix.size()) == 0;
}

/// Names a format that is not read, so that the message can say more than "not an image".
std::string_view other_format(const uint8_t* bytes, size_t size_bytes) {
  if (starts_with(bytes, size_bytes, "GIF8")) return "a GIF";
  if (starts_with(bytes, size_bytes, "BM")) return "a BMP";
  if (starts_with(bytes, size_bytes, "RIFF")) return "a WebP or another RIFF file";
  if (starts_with(bytes, size_bytes, std::string_view("II*\0", 4))) return "a TIFF";
  if (starts_with(bytes, size_bytes, std::string_view("MM\0*", 4))) return "a TIFF";
  return {};
}

}  // namespace

Image decode_image(const uint8_t* bytes, size_t size_bytes, const std::string& name) {
  check<IoError>(size_bytes > 0, "decode: \"{}\" is empty", name);
  check<IoError>(size_bytes <= kMaxImageFileBytes,
                 "decode: \"{}\" has {} bytes; a picture may have at most {}", name, size_bytes,
                 kMaxImageFileBytes);
  if (starts_with(bytes, size_bytes, "\xFF\xD8")) return decode_jpeg(bytes, size_bytes, name);
  if (starts_with(bytes, size_bytes, "\x89PNG\r\n\x1A\n")) {
    return decode_png(bytes, size_bytes, name);
  }
  const std::string_view format_name = other_format(bytes, size_bytes);
  check<IoError>(format_name.empty(), "decode: \"{}\" is {}; only JPEG and PNG are read", name,
                 format_name);
  fail<IoError>("decode: \"{}\" is neither a JPEG nor a PNG file", name);
}

Image decode_image(const std::vector<uint8_t>& bytes, const std::string& name) {
  return decode_image(bytes.data(), bytes.size(), name);
}

Image read_image(const std::string& path) {
  return decode_image(read_file(path, kMaxImageFileBytes), path);
}

bool is_image_name(const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return false;
  std::string end = name.substr(dot + 1);
  for (char& c : end) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return end == "jpg" || end == "jpeg" || end == "png";
}

}  // namespace tessera::beit3
