#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

namespace tessera {

/// Threads that share the work, the calling one included. Starts as the number of cores.
int thread_count();

/// Sets it, 1 … 256. Not while work runs. Results never depend on it.
void set_thread_count(int threads);

namespace detail {
using ChunkBody = void (*)(void* context, int64_t chunk);
void run_chunks(int64_t chunks, ChunkBody body, void* context);
}  // namespace detail

/// Calls `f(chunk)` for chunk = 0 … chunks-1, each once, in any order, on any thread.
///
/// What a chunk is must depend on shapes alone, so that results are the same bits for any number
/// of threads. f32 denormals are zero (FTZ, DAZ) in every body, on every thread. An exception of a
/// body is thrown to the caller when no body runs any more; of the other chunks, some may not have
/// been called. A call inside a body runs in place.
template <class F>
void parallel_for(int64_t chunks, F&& f) {
  using Body = std::remove_reference_t<F>;
  detail::run_chunks(
      chunks, [](void* context, int64_t chunk) { (*static_cast<Body*>(context))(chunk); },
      const_cast<void*>(static_cast<const void*>(&f)));
}

/// Cuts 0 … n-1 into ranges of `grain` (the last may be shorter) and calls `f(begin, end)` on each.
template <class F>
void parallel_ranges(int64_t n, int64_t grain, F&& f) {
  if (n <= 0) return;
  const int64_t chunks = (n + grain - 1) / grain;
  parallel_for(chunks, [&](int64_t chunk) {
    const int64_t begin = chunk * grain;
    f(begin, begin + grain < n ? begin + grain : n);
  });
}

}  // namespace tessera
