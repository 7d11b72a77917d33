#include <csetjmp>
#include <cstdio>  // jpeglib.h needs FILE

#include <jpeglib.h>
// jpeglib.h must come before jerror.h
#include <jerror.h>

#include "beit3/image/codecs_internal.h"
#include "beit3/image/decode.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

/// A progressive file may ask for any number of passes over the whole picture; honest ones need
/// about ten.
constexpr int kMaxScans = 256;

/// What the library calls back into. libjpeg returns from errors by a jump, which must not cross
/// the life of a C++ object: `decode_into` therefore owns nothing.
struct Session {
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf escape{};
  char message[JMSG_LENGTH_MAX] = {};
  bool truncated = false;
};

[[noreturn]] void on_error(j_common_ptr info) {
  Session& session = *static_cast<Session*>(info->client_data);
  session.errors.format_message(info, session.message);
  std::longjmp(session.escape, 1);
}

void on_message(j_common_ptr info, int level) {
  Session& session = *static_cast<Session*>(info->client_data);
  if (level >= 0) return;  // traces
  ++session.errors.num_warnings;
  // The memory source makes up an end marker where the bytes end: the rest of the picture would be
  // grey. Other warnings (stray bytes, resynchronised restarts) leave a usable picture.
  if (session.errors.msg_code == JWRN_JPEG_EOF) session.truncated = true;
}

void on_progress(j_common_ptr info) {
  if (!info->is_decompressor) return;
  Session& session = *static_cast<Session*>(info->client_data);
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMaxScans) {
    std::snprintf(session.message, sizeof session.message,
                  "it has more than %d scans of the whole picture", kMaxScans);
    std::longjmp(session.escape, 1);
  }
}

/// One row of inverted CMYK to RGB, with Pillow's rounding of a * b / 255.
void cmyk_to_rgb(const uint8_t* in, uint8_t* out, int64_t width) {
  for (int64_t x = 0; x < width; ++x, in += 4, out += 3) {
    const int k = in[3];
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - in[c]) * k + 128;
      out[c] = static_cast<uint8_t>(k - ((product + (product >> 8)) >> 8));
    }
  }
}

/// Decodes into `image`; `row` is scratch. False if the session holds the reason.
bool decode_into(jpeg_decompress_struct& info, Session& session, const uint8_t* bytes,
                 size_t size_bytes, Image& image, std::vector<uint8_t>& row) {
  if (setjmp(session.escape) != 0) return false;
  jpeg_create_decompress(&info);
  info.client_data = &session;
  info.progress = &session.progress;
  jpeg_mem_src(&info, bytes, static_cast<unsigned long>(size_bytes));
  jpeg_read_header(&info, TRUE);
  if (static_cast<int64_t>(info.image_width) * info.image_height > kMaxPixels) {
    std::snprintf(session.message, sizeof session.message,
                  "it has %u x %u pixels; at most %lld are read", info.image_width,
                  info.image_height, static_cast<long long>(kMaxPixels));
    return false;
  }
  if (info.num_components == 2 || info.num_components > 4) {
    std::snprintf(session.message, sizeof session.message,
                  "it has %d colour components; expected 1, 3 or 4", info.num_components);
    return false;
  }
  info.out_color_space = info.num_components == 4   ? JCS_CMYK
                         : info.num_components == 3 ? JCS_RGB
                                                    : JCS_GRAYSCALE;
  jpeg_start_decompress(&info);
  image.height = info.output_height;
  image.width = info.output_width;
  image.rgb.resize(static_cast<size_t>(3 * image.height * image.width));
  row.resize(static_cast<size_t>(image.width) * 4);
  while (info.output_scanline < info.output_height) {
    uint8_t* target = image.at(info.output_scanline, 0);
    uint8_t* line = info.output_components == 3 ? target : row.data();
    if (jpeg_read_scanlines(&info, &line, 1) != 1) break;
    if (session.truncated) return false;
    if (info.output_components == 4) {
      cmyk_to_rgb(line, target, image.width);
    } else if (info.output_components == 1) {
      for (int64_t x = 0; x < image.width; ++x) {
        target[3 * x] = target[3 * x + 1] = target[3 * x + 2] = line[x];
      }
    }
  }
  jpeg_finish_decompress(&info);
  // A file that only lacks its end marker has all its pixels, and is met in practice: the warning
  // then comes after the last row (buffered rows make this exact only to a few rows).
  return true;
}

}  // namespace

Image decode_jpeg(const uint8_t* bytes, size_t size_bytes, const std::string& name) {
  Session session;
  jpeg_decompress_struct info{};
  info.err = jpeg_std_error(&session.errors);
  info.client_data = &session;
  session.errors.error_exit = on_error;
  session.errors.emit_message = on_message;
  session.progress.progress_monitor = on_progress;
  Image image;
  std::vector<uint8_t> row;
  bool ok = false;
  try {
    ok = decode_into(info, session, bytes, size_bytes, image, row);
  } catch (...) {  // no memory for the pixels
    jpeg_destroy_decompress(&info);
    throw;
  }
  jpeg_destroy_decompress(&info);
  if (ok) return image;
  check<IoError>(!session.truncated, "decode: JPEG \"{}\" is truncated after {} bytes", name,
                 size_bytes);
  fail<IoError>("decode: JPEG \"{}\" cannot be read: {}", name, session.message);
}

}  // namespace tessera::beit3
