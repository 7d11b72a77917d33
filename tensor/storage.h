#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "tensor/base/backend.h"

namespace tessera {

/// Bytes on a device, shared by all tensors that view them. `version` counts in-place changes, so
/// that autograd notices when something it saved is no longer what it was.
class Storage {
 public:
  Storage(size_t bytes, const Device& device);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  const Device& device() const { return device_; }
  Backend& backend() const { return backend_; }

  uint32_t version() const { return version_.load(std::memory_order_relaxed); }
  /// Called by everything that writes in place; `op` must be a literal and names the writer.
  void changed(const char* op) {
    last_change_ = op;
    version_.fetch_add(1, std::memory_order_relaxed);
  }
  /// What changed it last, for the error message.
  const char* last_change() const { return last_change_; }

 private:
  Device device_;
  Backend& backend_;
  size_t bytes_;
  void* data_;
  std::atomic<uint32_t> version_{0};
  const char* last_change_ = "";
};

}  // namespace tessera
