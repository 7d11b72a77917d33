#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "beit3/image/image.h"

namespace tessera::beit3 {

/// The most pixels a picture may have; larger ones are refused before memory is taken.
inline constexpr int64_t kMaxPixels = 100'000'000;

/// The most bytes a picture file may have.
inline constexpr size_t kMaxImageFileBytes = size_t{256} << 20;

/// Decodes a JPEG or PNG file held in memory, told apart by its first bytes, to 8-bit RGB.
///
/// JPEG  baseline, extended, progressive and arithmetic, 8 bits a sample; 1, 3 or 4 components.
///       Grey is repeated; CMYK and YCCK are taken as inverted (Adobe) and turned to RGB as
///       Pillow's convert("RGB") does. The pixels equal Pillow's built on the same libjpeg-turbo.
///       EXIF orientation is not applied (nor does Pillow's open).
/// PNG   every colour type, depth and interlacing; of 16-bit samples the upper 8 bits are kept
/// (grey
///       included); transparency is dropped, not composited, as Pillow's convert("RGB") does.
///
/// name  stands in error messages: a path or whatever tells the user which picture it was
///
/// Throws IoError, saying what is wrong: neither format, truncated, damaged, a wrong checksum, an
/// unsupported variant, more than kMaxPixels. Memory is bounded by the size the header declares.
/// Safe to call from several threads.
Image decode_image(const uint8_t* bytes, size_t size_bytes, const std::string& name);
Image decode_image(const std::vector<uint8_t>& bytes, const std::string& name);

/// `decode_image` of a file. Throws IoError also if the file cannot be read.
Image read_image(const std::string& path);

/// True if the name ends in .jpg, .jpeg or .png, in any case.
bool is_image_name(const std::string& name);

}  // namespace tessera::beit3
