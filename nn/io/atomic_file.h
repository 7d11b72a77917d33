#pragma once

#include <cstddef>
#include <string>

namespace tessera::nn {

/// Writes a file so that its path shows the old content or the whole new one, never a part, even if
/// the program or the machine stops on the way: a temporary file in the same folder is written,
/// flushed to the disk, and renamed.
///
/// All functions throw IoError with the path and the system's reason, a full disk included. Without
/// `commit`, the temporary file is removed and the old content stays. A program that is killed
/// leaves ".NAME.tmp-PID-N" behind.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t bytes);
  /// Makes what was written the file's content.
  void commit();

 private:
  [[noreturn]] void fail_with_errno(const char* doing);

  std::string path_, temporary_;
  int descriptor_ = -1;
};

/// The whole content of a file in one call.
void write_file_atomically(const std::string& path, const void* data, size_t bytes);

}  // namespace tessera::nn
