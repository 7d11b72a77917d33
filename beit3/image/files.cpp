#include "beit3/image/files.h"

#include <atomic>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

/// A file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor(const std::string& path, int flags, mode_t mode = 0644)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool close() {
    const int fd = fd_;
    fd_ = -1;
    return fd < 0 || ::close(fd) == 0;
  }

 private:
  int fd_;
};

std::string reason() { return std::strerror(errno); }

template <class Bytes>
Bytes read_bytes(const std::string& path, size_t max_bytes) {
  Descriptor file(path, O_RDONLY);
  check<IoError>(file.get() >= 0, "read: \"{}\" cannot be opened: {}", path, reason());
  struct stat info {};
  check<IoError>(::fstat(file.get(), &info) == 0, "read: \"{}\": {}", path, reason());
  check<IoError>(S_ISREG(info.st_mode), "read: \"{}\" is not a regular file", path);
  const size_t size_bytes = static_cast<size_t>(info.st_size);
  check<IoError>(size_bytes <= max_bytes, "read: \"{}\" has {} bytes; at most {} are read here",
                 path, size_bytes, max_bytes);
  Bytes out;
  out.resize(size_bytes);
  size_t done = 0;
  while (done < size_bytes) {
    const ssize_t got = ::read(file.get(), out.data() + done, size_bytes - done);
    if (got < 0 && errno == EINTR) continue;
    check<IoError>(got >= 0, "read: \"{}\": {}", path, reason());
    if (got == 0) break;  // shortened while being read
    done += static_cast<size_t>(got);
  }
  out.resize(done);
  return out;
}

void write_all(Descriptor& file, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(file.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    check<IoError>(put >= 0, "write: \"{}\": {}", path, reason());
    bytes.remove_prefix(static_cast<size_t>(put));
  }
}

std::string_view view(const std::vector<uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::vector<uint8_t> read_file(const std::string& path, size_t max_bytes) {
  return read_bytes<std::vector<uint8_t>>(path, max_bytes);
}

std::string read_text_file(const std::string& path, size_t max_bytes) {
  return read_bytes<std::string>(path, max_bytes);
}

void write_file_atomically(const std::string& path, std::string_view bytes) {
  // Process and call number keep two writers of the same file from sharing a temporary one.
  static std::atomic<int64_t> calls{0};
  const std::string temporary = format("{}.tmp-{}-{}", path, ::getpid(), calls.fetch_add(1));
  try {
    Descriptor file(temporary, O_WRONLY | O_CREAT | O_EXCL);
    check<IoError>(file.get() >= 0, "write: \"{}\" cannot be created: {}", temporary, reason());
    write_all(file, temporary, bytes);
    check<IoError>(::fsync(file.get()) == 0, "write: \"{}\": {}", temporary, reason());
    check<IoError>(file.close(), "write: \"{}\": {}", temporary, reason());
    check<IoError>(::rename(temporary.c_str(), path.c_str()) == 0,
                   "write: \"{}\" cannot take its place: {}", path, reason());
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

void write_file_atomically(const std::string& path, const std::vector<uint8_t>& bytes) {
  write_file_atomically(path, view(bytes));
}

void write_file_plainly(const std::string& path, std::string_view bytes) {
  Descriptor file(path, O_WRONLY | O_CREAT | O_TRUNC);
  check<IoError>(file.get() >= 0, "write: \"{}\" cannot be created: {}", path, reason());
  write_all(file, path, bytes);
  check<IoError>(file.close(), "write: \"{}\": {}", path, reason());
}

void write_file_plainly(const std::string& path, const std::vector<uint8_t>& bytes) {
  write_file_plainly(path, view(bytes));
}

}  // namespace tessera::beit3
