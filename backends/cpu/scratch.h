#pragma once

#include "backends/cpu/caching_allocator.h"

namespace tessera {

/// Memory of one kernel call, from the same allocator as tensors; ends with the scope.
class Scratch {
 public:
  /// `count` uninitialised elements of `T`, 64-byte aligned.
  template <class T>
  static Scratch of(int64_t count) {
    return Scratch(static_cast<size_t>(count) * sizeof(T));
  }
  explicit Scratch(size_t bytes) : data_(cpu_allocator().allocate(bytes)) {}
  ~Scratch() { cpu_allocator().free(data_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  void* data() const { return data_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_;
};

}  // namespace tessera
