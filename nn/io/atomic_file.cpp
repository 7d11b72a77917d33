#include "nn/io/atomic_file.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "tensor/base/error.h"

namespace tessera::nn {

namespace {

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string name_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == path.npos ? path : path.substr(slash + 1);
}

/// The calling thread's last error in words. strerror may share its buffer between threads.
std::string reason() {
  const int code = errno;
  return std::generic_category().message(code);
}

/// A rename lasts only once the folder itself is on the disk. Some file systems refuse to flush
/// folders; the new content is whole all the same, so that is no error.
void flush_folder(const std::string& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  static std::atomic<unsigned> counter{0};
  check<IoError>(!name_of(path_).empty(), "write: \"{}\" names no file", path_);
  // Names of files have at most 255 bytes: a long one is cut for the temporary file.
  const std::string name = name_of(path_).substr(0, 200);
  for (int attempt = 0; attempt < 100; ++attempt) {
    temporary_ = format("{}/.{}.tmp-{}-{}", folder_of(path_), name, ::getpid(), counter++);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ >= 0 || errno != EEXIST) break;
  }
  if (descriptor_ < 0) {
    const std::string why = reason();
    temporary_.clear();
    fail<IoError>("write: cannot create a file beside \"{}\": {}", path_, why);
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::fail_with_errno(const char* doing) {
  const std::string why = reason();
  fail<IoError>("write: cannot {} \"{}\": {}", doing, path_, why);
}

void AtomicFile::write(const void* data, size_t bytes) {
  check<StateError>(descriptor_ >= 0, "write: \"{}\" was committed already", path_);
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    // One call writes at most 2 GiB, and may write less than asked.
    const ssize_t written = ::write(descriptor_, at, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_with_errno("write");
    at += written;
    bytes -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  check<StateError>(descriptor_ >= 0, "write: \"{}\" was committed already", path_);
  // Late errors (quota, network) appear here: the name is changed only if there were none.
  if (::fsync(descriptor_) != 0) fail_with_errno("flush");
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) fail_with_errno("close");
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail_with_errno("replace");
  temporary_.clear();
  flush_folder(folder_of(path_));
}

void write_file_atomically(const std::string& path, const void* data, size_t bytes) {
  AtomicFile file(path);
  file.write(data, bytes);
  file.commit();
}

}  // namespace tessera::nn
