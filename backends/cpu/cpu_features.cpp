#include "backends/cpu/cpu_features.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <unistd.h>

#include "tensor/base/error.h"

namespace tessera {
namespace {

#if defined(__x86_64__)
/// XCR0: which register states the operating system saves. Needs OSXSAVE.
uint64_t enabled_states() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low | static_cast<uint64_t>(high) << 32;
}

bool bit(uint32_t word, int i) { return (word >> i & 1u) != 0; }

CpuFeatures detect() {
  CpuFeatures f;
#if defined(_SC_LEVEL2_CACHE_SIZE)
  f.l2_bytes = std::max<int64_t>(sysconf(_SC_LEVEL2_CACHE_SIZE), 0);
#endif
  uint32_t a, b, c, d;
  if (static_cast<uint32_t>(__get_cpuid_max(0x80000000u, nullptr)) >= 0x80000004u) {
    char text[49] = {};
    for (uint32_t i = 0; i < 3; ++i) {
      __cpuid(0x80000002u + i, a, b, c, d);
      const uint32_t words[4] = {a, b, c, d};
      std::memcpy(text + 16 * i, words, 16);
    }
    const std::string_view brand(text);
    const size_t first = brand.find_first_not_of(' '), last = brand.find_last_not_of(' ');
    if (first != std::string_view::npos) f.brand = brand.substr(first, last - first + 1);
  }
  if (!__get_cpuid(1, &a, &b, &c, &d) || !bit(c, 27)) return f;  // no OSXSAVE: no vector state
  const bool fma = bit(c, 12), avx = bit(c, 28);
  const uint64_t states = enabled_states();
  const bool ymm = (states & 0x6u) == 0x6u, zmm = (states & 0xE6u) == 0xE6u;
  const bool tiles = (states & 0x60000u) == 0x60000u;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return f;
  const uint32_t leaves = a;
  f.avx2 = ymm && avx && fma && bit(b, 5);
  f.avx512 = f.avx2 && zmm && bit(b, 16) && bit(b, 17) && bit(b, 30) && bit(b, 31);
  f.amx = tiles && bit(d, 22) && bit(d, 24);
  if (leaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) f.avx512_bf16 = f.avx512 && bit(a, 5);
  return f;
}
#else
CpuFeatures detect() { return {}; }
#endif

bool has(Isa isa) { return isa <= best_isa(); }

std::string available() {
  std::string text;
  for (Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
    if (!has(isa)) continue;
    if (!text.empty()) text += ", ";
    text += to_string(isa);
  }
  return text;
}

Isa parse(std::string_view who, std::string_view name) {
  for (Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
    if (name != to_string(isa)) continue;
    check<ValueError>(has(isa), "{}: this machine does not have {}; it has {}", who, name,
                      available());
    return isa;
  }
  fail<ValueError>("{}: '{}' is no instruction set; this machine has {}", who, name, available());
}

Isa initial_isa() {
  const char* wanted = std::getenv("TESSERA_ISA");
  return wanted == nullptr || *wanted == '\0' ? best_isa() : parse("TESSERA_ISA", wanted);
}

constexpr int kUnset = -1;
std::atomic<int> active{kUnset};

}  // namespace

std::string_view to_string(Isa isa) {
  switch (isa) {
    case Isa::portable:
      return "portable";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "?";
}

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

Isa best_isa() {
  const CpuFeatures& f = cpu_features();
  return f.avx512 ? Isa::avx512 : f.avx2 ? Isa::avx2 : Isa::portable;
}

Isa active_isa() {
  int isa = active.load(std::memory_order_relaxed);
  if (isa == kUnset) {
    static const Isa initial = initial_isa();
    int expected = kUnset;
    active.compare_exchange_strong(expected, static_cast<int>(initial), std::memory_order_relaxed);
    isa = active.load(std::memory_order_relaxed);
  }
  return static_cast<Isa>(isa);
}

void set_isa(Isa isa) { set_isa(to_string(isa)); }

void set_isa(std::string_view name) {
  active.store(static_cast<int>(parse("set_isa", name)), std::memory_order_relaxed);
}

std::string cpu_description() {
  const CpuFeatures& f = cpu_features();
  std::string text = f.brand.empty() ? "unknown processor" : f.brand;
  text += ": " + available();
  if (f.avx512_bf16) text += ", avx512_bf16";
  if (f.amx) text += ", amx";
  text += "; kernels use " + std::string(to_string(active_isa()));
  return text;
}

}  // namespace tessera
