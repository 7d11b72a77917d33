#include "nn/io/safetensors.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nn/io/atomic_file.h"
#include "nn/io/safetensors_header_internal.h"
#include "tensor/ops/creation.h"

namespace tessera::nn {

static_assert(std::endian::native == std::endian::little, "elements are copied as they are");

namespace {

constexpr size_t kLengthBytes = 8;

std::string reason() { return std::generic_category().message(errno); }

}  // namespace

struct SafetensorsReader::File {
  std::string path;
  int descriptor = -1;
  size_t data_begin = 0;
  detail::SafetensorsHeader header;
  std::map<std::string_view, size_t> by_name;

  File(std::string p, int d) : path(std::move(p)), descriptor(d) {}
  ~File() {
    if (descriptor >= 0) ::close(descriptor);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  /// The file may have become shorter since its length was read.
  void read(void* to, size_t bytes, size_t at) const {
    char* out = static_cast<char*>(to);
    while (bytes > 0) {
      const ssize_t got = ::pread(descriptor, out, bytes, static_cast<off_t>(at));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        const std::string why = reason();
        fail<IoError>("{}: cannot read: {}", path, why);
      }
      check<IoError>(got > 0, "{}: ends at byte {}, while it was read", path, at);
      out += got;
      at += static_cast<size_t>(got);
      bytes -= static_cast<size_t>(got);
    }
  }
};

SafetensorsReader::SafetensorsReader(const std::string& path) {
  // Not blocking, so that a pipe or terminal of this name is refused instead of waited for.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    const std::string why = reason();
    fail<IoError>("{}: cannot open: {}", path, why);
  }
  file_ = std::make_unique<File>(path, descriptor);
  struct stat status = {};
  check<IoError>(::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode),
                 "{}: is no regular file", path);
  const size_t file_bytes = static_cast<size_t>(status.st_size);
  check<IoError>(file_bytes >= kLengthBytes,
                 "{}: has {} bytes, too few for a safetensors file, which has at least 10", path,
                 file_bytes);
  uint64_t header_bytes = 0;
  file_->read(&header_bytes, kLengthBytes, 0);
  check<IoError>(header_bytes <= kMaxSafetensorsHeaderBytes,
                 "{}: its header claims {} bytes, more than the {} allowed; is it a safetensors "
                 "file?",
                 path, header_bytes, kMaxSafetensorsHeaderBytes);
  check<IoError>(header_bytes <= file_bytes - kLengthBytes,
                 "{}: its header claims {} bytes, but {} follow; the file is cut off, or no "
                 "safetensors file",
                 path, header_bytes, file_bytes - kLengthBytes);
  std::string json(header_bytes, '\0');
  file_->read(json.data(), json.size(), kLengthBytes);
  file_->data_begin = kLengthBytes + json.size();
  file_->header = detail::parse_safetensors_header(json, file_bytes - file_->data_begin, path);
  for (size_t i = 0; i < entries().size(); ++i) file_->by_name.emplace(entries()[i].name, i);
}

SafetensorsReader::~SafetensorsReader() = default;
SafetensorsReader::SafetensorsReader(SafetensorsReader&&) noexcept = default;
SafetensorsReader& SafetensorsReader::operator=(SafetensorsReader&&) noexcept = default;

const std::vector<SafetensorsEntry>& SafetensorsReader::entries() const {
  return file_->header.entries;
}
const SafetensorsMetadata& SafetensorsReader::metadata() const { return file_->header.metadata; }
bool SafetensorsReader::contains(std::string_view name) const {
  return file_->by_name.contains(name);
}

Tensor SafetensorsReader::load(std::string_view name, const Device& device) const {
  const auto found = file_->by_name.find(name);
  check<IoError>(found != file_->by_name.end(), "{}: has no tensor \"{}\"", file_->path, name);
  return load(entries()[found->second], device);
}

Tensor SafetensorsReader::load(const SafetensorsEntry& entry, const Device& device) const {
  const Tensor y = empty(entry.shape, {.dtype = entry.dtype});
  const size_t bytes = entry.end_bytes - entry.begin_bytes;
  void* to = y.mutable_view().data;
  file_->read(to, bytes, file_->data_begin + entry.begin_bytes);
  if (entry.dtype == DType::boolean) {
    // Any other value in a bool is undefined behaviour.
    const auto* at = static_cast<const unsigned char*>(to);
    const auto* bad = std::find_if(at, at + bytes, [](unsigned char c) { return c > 1; });
    check<IoError>(bad == at + bytes, "{}: tensor \"{}\" is boolean, but element {} is {}",
                   file_->path, entry.name, bad - at,
                   static_cast<int>(bad == at + bytes ? 0 : *bad));
  }
  return y.to(device);
}

SafetensorsFile load_safetensors(const std::string& path, const SafetensorsOptions& options) {
  const SafetensorsReader reader(path);
  SafetensorsFile file;
  file.metadata = reader.metadata();
  for (const SafetensorsEntry& e : reader.entries()) {
    if (options.wanted && !options.wanted(e.name)) continue;
    file.tensors.emplace(e.name, reader.load(e, options.device));
  }
  return file;
}

void save_safetensors(const std::string& path, const StateDict& tensors,
                      const SafetensorsMetadata& metadata) {
  std::vector<const StateDict::value_type*> order;
  for (const auto& item : tensors) {
    check<ValueError>(item.first != "__metadata__",
                      "save_safetensors: the name \"__metadata__\" is reserved");
    check<ValueError>(item.second.defined(), "save_safetensors: \"{}\" is undefined", item.first);
    order.push_back(&item);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return size_of(a->second.dtype()) > size_of(b->second.dtype());
  });
  std::vector<SafetensorsEntry> entries;
  size_t end = 0;
  for (const auto* item : order) {
    const Tensor& x = item->second;
    entries.push_back({item->first, x.dtype(), x.shape(), end, end + x.bytes()});
    end += x.bytes();
  }
  const std::string header = detail::write_safetensors_header(entries, metadata);
  check<ValueError>(header.size() <= kMaxSafetensorsHeaderBytes,
                    "save_safetensors: the header would have {} bytes, more than the {} allowed",
                    header.size(), kMaxSafetensorsHeaderBytes);

  AtomicFile file(path);
  const uint64_t header_bytes = header.size();
  file.write(&header_bytes, kLengthBytes);
  file.write(header.data(), header.size());
  for (const auto* item : order) {
    const Tensor x = item->second.detach().contiguous().to(kCpu);
    file.write(x.view().data, x.bytes());
  }
  file.commit();
}

}  // namespace tessera::nn
