#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "nn/module.h"

/// Files of named tensors: 8 bytes with the length of a header (little endian), the header in JSON,
/// then the elements. Only data, nothing is ever run.
///
/// Files come from strangers: everything is checked before anything of the size they claim is
/// allocated, and an IoError names the file and what is wrong with it.
/// Source: the safetensors format description, github.com/huggingface/safetensors.
namespace tessera::nn {

/// The longest header that is read: 100 MB, the bound of the reference reader.
inline constexpr size_t kMaxSafetensorsHeaderBytes = 100'000'000;

/// One tensor of a file.
struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  size_t begin_bytes = 0, end_bytes = 0;  ///< counted from the end of the header
};

using SafetensorsMetadata = std::map<std::string, std::string>;

/// An open file whose header has been read and checked; elements are read when asked for.
class SafetensorsReader {
 public:
  /// Throws IoError if the file cannot be opened or its header does not hold.
  explicit SafetensorsReader(const std::string& path);
  ~SafetensorsReader();
  SafetensorsReader(SafetensorsReader&&) noexcept;
  SafetensorsReader& operator=(SafetensorsReader&&) noexcept;

  /// In the order of their elements in the file.
  const std::vector<SafetensorsEntry>& entries() const;
  const SafetensorsMetadata& metadata() const;
  bool contains(std::string_view name) const;
  /// IoError if the file has no such tensor, ends early, or has a boolean that is neither 0 nor 1.
  Tensor load(std::string_view name, const Device& device = kCpu) const;
  Tensor load(const SafetensorsEntry& entry, const Device& device = kCpu) const;

 private:
  struct File;
  std::unique_ptr<File> file_;
};

struct SafetensorsOptions {
  Device device = kCpu;
  /// Which tensors to read; empty: all.
  std::function<bool(std::string_view name)> wanted = {};
};

struct SafetensorsFile {
  StateDict tensors;
  SafetensorsMetadata metadata;
};

/// Reads a file.
SafetensorsFile load_safetensors(const std::string& path, const SafetensorsOptions& options = {});

/// Writes a file; the path shows the old content or all of the new one (see AtomicFile). Tensors
/// may lie on any device and need not be contiguous. Equal contents give equal bytes: larger
/// element types first, so that each is aligned, then by name. Throws IoError (a full disk
/// included) and ValueError for the reserved name "__metadata__" or text that is not UTF-8.
void save_safetensors(const std::string& path, const StateDict& tensors,
                      const SafetensorsMetadata& metadata = {});

}  // namespace tessera::nn
