#include "beit3/image/decode.h"

#include <cmath>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "beit3/data/tar.h"
#include "beit3/image/encode.h"
#include "beit3/image/files.h"
#include "tensor/base/error.h"
#include "tensor/base/rng.h"
#include "tests/testing/errors.h"

namespace tessera::beit3 {
namespace {

uint64_t fnv(const std::vector<uint8_t>& bytes) {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (const uint8_t b : bytes) hash = (hash ^ b) * 0x100000001B3ull;
  return hash;
}

/// Largest difference between the means of 4 x 4 cells and recorded ones.
double grid_difference(const Image& image, const nlohmann::json& grid) {
  double worst = 0;
  size_t k = 0;
  for (int64_t r = 0; r < 4; ++r) {
    for (int64_t c = 0; c < 4; ++c) {
      double sum[3] = {}, count = 0;
      for (int64_t y = r * image.height / 4; y < (r + 1) * image.height / 4; ++y) {
        for (int64_t x = c * image.width / 4; x < (c + 1) * image.width / 4; ++x, ++count) {
          for (int i = 0; i < 3; ++i) sum[i] += image.at(y, x)[i];
        }
      }
      for (int i = 0; i < 3; ++i, ++k) {
        if (count == 0 || k >= grid.size() || grid[k].is_null()) continue;
        worst = std::max(worst, std::abs(sum[i] / count - grid[k].get<double>()));
      }
    }
  }
  return worst;
}

TEST(Decode, RareDamagedAndHostileFilesGiveTheRecordedPixelsOrAnError) {
  const TarIndex tar("data/images/torture.tar");
  std::ifstream lines("data/images/torture.jsonl");
  std::string line;
  int read = 0, refused = 0, exact = 0;
  while (std::getline(lines, line)) {
    const auto entry = nlohmann::json::parse(line);
    const std::string name = entry["file"];
    SCOPED_TRACE(name);
    Image image;
    bool ok = true;
    try {
      image = decode_image(tar.read(name), name);
    } catch (const IoError& error) {
      ok = false;
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
    EXPECT_EQ(ok, entry["read"].get<bool>());
    ++(ok ? read : refused);
    if (!ok) continue;
    EXPECT_EQ(image.width, entry["width"]);
    EXPECT_EQ(image.height, entry["height"]);
    if (entry.contains("fnv")) {
      ++exact;
      EXPECT_EQ(fnv(image.rgb), std::stoull(entry["fnv"].get<std::string>(), nullptr, 16));
    }
    // The recorded means have one decimal.
    if (entry.contains("grid4x4_rgb")) {
      EXPECT_LE(grid_difference(image, entry["grid4x4_rgb"]), 0.06);
    }
  }
  EXPECT_GT(read, 150);
  EXPECT_GT(refused, 150);
  EXPECT_GT(exact, 70);
}

TEST(Decode, EveryPrefixOfAFileIsRefusedOrRead) {
  const TarIndex tar("data/images/torture.tar");
  for (const char* name :
       {"jpeg/jpeg-decoder/jpg-progressive.jpg", "jpeg/jpeg-decoder/restarts.jpg",
        "png/pngsuite/basi2c08.png", "png/pngsuite/basn3p04.png"}) {
    const std::vector<uint8_t> bytes = tar.read(name);
    for (size_t size_bytes = 0; size_bytes < bytes.size() - 2; ++size_bytes) {
      EXPECT_THROW(decode_image(bytes.data(), size_bytes, name), IoError) << name << size_bytes;
    }
  }
}

TEST(Decode, ChangedBytesNeverDoHarm) {
  const TarIndex tar("data/images/torture.tar");
  RandomStream random(RandomKey{5});
  for (const char* name : {"jpeg/jpeg-decoder/jpg-size-17x17.jpg", "png/pngsuite/basn2c08.png"}) {
    const std::vector<uint8_t> bytes = tar.read(name);
    for (int i = 0; i < 500; ++i) {
      std::vector<uint8_t> changed = bytes;
      for (int n = 0; n < 3; ++n) {
        changed[static_cast<size_t>(random.integer(static_cast<int64_t>(bytes.size())))] =
            static_cast<uint8_t>(random.word());
      }
      try {
        const Image image = decode_image(changed, name);
        EXPECT_EQ(image.rgb.size(), static_cast<size_t>(3 * image.height * image.width));
      } catch (const IoError&) {
      }
    }
  }
}

TEST(Decode, SaysWhatIsWrong) {
  EXPECT_ERROR(decode_image({}, "a.png"), IoError, "decode: \"a.png\" is empty");
  EXPECT_ERROR(decode_image({'h', 'e', 'l', 'l', 'o'}, "a.png"), IoError,
               "decode: \"a.png\" is neither a JPEG nor a PNG file");
  EXPECT_ERROR(decode_image({'G', 'I', 'F', '8', '9'}, "a.png"), IoError,
               "decode: \"a.png\" is a GIF; only JPEG and PNG are read");
  std::vector<uint8_t> png = encode_png(make_image(2, 3, {1, 2, 3}));
  std::vector<uint8_t> shorter(png.begin(), png.end() - 5);
  EXPECT_ERROR(decode_image(shorter, "a.png"), IoError,
               format("decode: PNG \"a.png\" is truncated after {} bytes", shorter.size()).c_str());
  png[20] ^= 1;  // the width
  EXPECT_ERROR(decode_image(png, "a.png"), IoError,
               "decode: PNG \"a.png\" is damaged: wrong checksum of the chunk at byte 8");
  EXPECT_THROW(read_image("data/images/there-is-none.png"), IoError);
  EXPECT_THROW(read_image("data/images"), IoError);
}

TEST(Decode, CmykIsTurnedToRgb) {
  const TarIndex tar("data/images/torture.tar");
  const Image image = decode_image(tar.read("jpeg/jpeg-decoder/jpg-cmyk-1.jpg"), "cmyk");
  EXPECT_EQ(image.rgb.size(), static_cast<size_t>(3 * 32 * 32));
}

TEST(Encode, APngGivesThePictureBack) {
  RandomStream random(RandomKey{1});
  for (const auto& [height, width] :
       {std::pair{1, 1}, {1, 7}, {5, 1}, {13, 31}, {64, 64}, {200, 300}}) {
    Image image = make_image(height, width);
    for (uint8_t& v : image.rgb) v = static_cast<uint8_t>(random.word());
    EXPECT_EQ(decode_image(encode_png(image), "x"), image);
    EXPECT_EQ(decode_image(encode_png_stored(image), "x"), image);
  }
  EXPECT_THROW(encode_png(Image{}), ValueError);
  EXPECT_THROW(encode_png_stored(Image{}), ValueError);
}

std::string text_of(const std::string& path) { return read_text_file(path); }

TEST(Files, AreWrittenWholeOrNotAtAll) {
  const std::string folder = ::testing::TempDir() + "tessera_files";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  write_file_atomically(folder + "/a", "one");
  write_file_atomically(folder + "/a", "two");
  EXPECT_EQ(text_of(folder + "/a"), "two");
  EXPECT_THROW(write_file_atomically(folder + "/none/a", "x"), IoError);
  std::filesystem::create_directory(folder + "/full");
  std::filesystem::create_directory(folder + "/full/inside");
  EXPECT_THROW(write_file_atomically(folder + "/full", "x"), IoError);  // cannot replace a folder
  EXPECT_THROW(read_file(folder + "/a", 2), IoError);
  const auto files = std::filesystem::directory_iterator(folder);
  EXPECT_EQ(std::distance(begin(files), end(files)), 2);  // nothing temporary is left
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace tessera::beit3
