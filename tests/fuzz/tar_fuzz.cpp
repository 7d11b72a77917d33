// Archives of pictures. Checksums of headers are made right, so that what they protect is reached.
#include <numeric>

#include "beit3/data/tar.h"
#include "tests/fuzz/fuzzing.h"

using namespace tessera;
using namespace tessera::beit3;

namespace {

constexpr size_t kBlock = 512;

std::string with_right_checksums(std::string tar) {
  for (size_t at = 0; at + kBlock <= tar.size(); at += kBlock) {
    if (tar.compare(at + 257, 5, "ustar") != 0) continue;
    tar.replace(at + 148, 8, 8, ' ');
    unsigned sum = 0;
    for (size_t i = 0; i < kBlock; ++i) sum += static_cast<unsigned char>(tar[at + i]);
    char text[8];
    std::snprintf(text, sizeof text, "%06o", sum);
    tar.replace(at + 148, 7, text, 7);
  }
  return tar;
}

void read_all(const std::string& bytes) {
  const fuzzing::MemoryFile file(bytes);
  fuzzing::reads_or_refuses(file.path(), [&] {
    const TarIndex tar(file.path());
    for (const auto& [name, member] : tar.members()) {
      const auto expected = static_cast<size_t>(member.size_bytes);
      fuzzing::require(tar.read(name).size() == expected, "a member has its size");
    }
  });
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  const std::string bytes(fuzzing::text_of(data, size_bytes));
  read_all(bytes);
  read_all(with_right_checksums(bytes));
  return 0;
}
