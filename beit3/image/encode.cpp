#include "beit3/image/encode.h"

#include <cstdlib>

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

std::vector<uint8_t> encode_png(const Image& image) {
  check<ValueError>(image.height > 0 && image.width > 0 && image.width < (1 << 28) &&
                        image.rgb.size() == static_cast<size_t>(3 * image.height * image.width),
                    "encode_png: a picture of {} x {} with {} bytes cannot be written",
                    image.height, image.width, image.rgb.size());
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

void write_png(const std::string& path, const Image& image) {
  write_file_atomically(path, encode_png(image));
}

}  // namespace tessera::beit3
