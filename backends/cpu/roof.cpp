#include "backends/cpu/roof.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "backends/cpu/cpu_features.h"
#include "backends/cpu/isa/roof.h"
#include "backends/cpu/scratch.h"
#include "tensor/base/parallel.h"

namespace tessera {
namespace {

const RoofKernels& roof_kernels() { return TESSERA_OF_ACTIVE_ISA(roof_kernels); }

/// Seconds of the fastest of several runs: what disturbs a run makes it slower, never faster.
template <class F>
double fastest(int runs, F&& f) {
  double best = 1e30;
  for (int i = 0; i < runs; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

}  // namespace

CpuRoof measure_cpu_roof() {
  CpuRoof roof;
  std::atomic<float> seen{0};  // results are used, so nothing is left out

  const int64_t chunks = 16 * thread_count();
  constexpr int64_t kRounds = 50000;  // some 0.2 ms
  const double compute = fastest(10, [&] {
    parallel_for(chunks, [&](int64_t) {
      seen.store(roof_kernels().multiply_add(kRounds), std::memory_order_relaxed);
    });
  });
  roof.flops = static_cast<double>(chunks * kRounds * kRoofOperations) / compute;

  constexpr int64_t kBytes = 128 << 20, kPiece = 1 << 20;
  const Scratch from(kBytes), to(kBytes);
  std::memset(from.data(), 1, kBytes);
  std::memset(to.data(), 1, kBytes);
  const double copy = fastest(5, [&] {
    parallel_ranges(kBytes, kPiece, [&](int64_t begin, int64_t end) {
      std::memcpy(to.as<char>() + begin, from.as<char>() + begin, static_cast<size_t>(end - begin));
    });
  });
  roof.copy_bytes = 2.0 * static_cast<double>(kBytes) / copy;

  const double read = fastest(5, [&] {
    parallel_ranges(kBytes / 8, kPiece / 8, [&](int64_t begin, int64_t end) {
      const uint64_t* words = from.as<uint64_t>();
      uint64_t sum[8] = {};  // wraps around
      for (int64_t i = begin; i < end; i += 8) {
        for (int k = 0; k < 8; ++k) sum[k] += words[i + k];
      }
      uint64_t all = 0;
      for (uint64_t s : sum) all += s;
      seen.store(static_cast<float>(all), std::memory_order_relaxed);
    });
  });
  roof.read_bytes = static_cast<double>(kBytes) / read;
  return roof;
}

}  // namespace tessera
