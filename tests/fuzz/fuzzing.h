#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <sys/mman.h>
#include <unistd.h>

#include "tensor/base/error.h"

/// Called by libFuzzer, or by replay.cpp, with any bytes whatever.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes);

/// What the fuzz targets share.
namespace tessera::fuzzing {

/// A property that holds for all inputs: stops the program otherwise, which is a finding.
inline void require(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "fuzzing: violated: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

inline std::string_view text_of(const uint8_t* data, size_t size_bytes) {
  return {reinterpret_cast<const char*>(data), size_bytes};
}

/// A file that lies in memory alone, under a path that can be opened like any other.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : descriptor_(::memfd_create("fuzzing", 0)) {
    require(descriptor_ >= 0, "the system gives a file in memory");
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      require(written > 0, "a file in memory can be written");
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    path_ = "/proc/self/fd/" + std::to_string(descriptor_);
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  int descriptor_;
  std::string path_;
};

/// Reading works, or is refused by an `Refusal` that names what was read. Anything else is a
/// finding. True if it worked.
template <class Refusal = IoError, class Read>
bool reads_or_refuses(std::string_view name, const Read& read) {
  try {
    read();
    return true;
  } catch (const Refusal& refusal) {
    require(std::string_view(refusal.what()).find(name) != std::string_view::npos,
            "a message names the file: " + std::string(refusal.what()));
    return false;
  }
}

}  // namespace tessera::fuzzing
