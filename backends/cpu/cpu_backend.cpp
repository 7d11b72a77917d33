#include "backends/cpu/cpu_backend.h"

#include <cstring>

#include "backends/cpu/caching_allocator.h"

namespace tessera {

void* CpuBackend::allocate(size_t bytes) { return cpu_allocator().allocate(bytes); }

void CpuBackend::free(void* p) noexcept { cpu_allocator().free(p); }

void CpuBackend::copy_from_host(void* to, const void* from, size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

void CpuBackend::copy_to_host(void* to, const void* from, size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

MemoryStats CpuBackend::memory_stats() const { return cpu_allocator().stats(); }

void CpuBackend::reset_peak() { cpu_allocator().reset_peak(); }

void CpuBackend::release_cache() { cpu_allocator().release_cache(); }

CpuBackend& cpu_backend() {
  // Never destroyed: tensors in static objects may be freed after everything else.
  static CpuBackend* const backend = new CpuBackend;
  return *backend;
}

}  // namespace tessera
