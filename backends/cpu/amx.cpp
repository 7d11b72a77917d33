#include "backends/cpu/amx.h"

#include <cstdint>
#include <cstring>
#include <iterator>
#include <vector>

#include "backends/cpu/cpu_features.h"
#include "backends/cpu/isa/split_gemm.h"

#if defined(__x86_64__) && defined(__linux__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#define TESSERA_AMX 1
#endif

namespace tessera {
namespace {

#ifdef TESSERA_AMX

/// Palette 1: eight tiles of 16 rows of 64 bytes.
struct TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr TileConfig kConfig;

/// Tiles 0 to 3 are C: upper left, upper right, lower left, lower right. 4 and 5 are the halves of
/// A, 6 and 7 those of B.
template <int Parts>
[[gnu::target("amx-tile,amx-bf16")]] void tiles(const char* a, int64_t panels, const char* b_panel,
                                                int64_t steps, float* c) {
  constexpr int64_t kStep = Parts * 2 * kHalfTile;
  constexpr size_t kRowBytes = kSplitTile * sizeof(float);
  constexpr auto& products = kPartProducts<Parts>;
  for (int64_t panel = 0; panel < panels; ++panel, c += kSplitTile * kSplitTile) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    const char* b = b_panel;
    for (int64_t s = 0; s < steps; ++s, a += kStep, b += kStep) {
      for (size_t i = 0; i < std::size(products); ++i) {
        const int x = products[i][0], y = products[i][1];
        if (i == 0 || x != products[i - 1][0]) {
          _tile_loadd(4, a + 2 * x * kHalfTile, 64);
          _tile_loadd(5, a + (2 * x + 1) * kHalfTile, 64);
        }
        if (i == 0 || y != products[i - 1][1]) {
          _tile_loadd(6, b + 2 * y * kHalfTile, 64);
          _tile_loadd(7, b + (2 * y + 1) * kHalfTile, 64);
        }
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    float* lower = c + 16 * kSplitTile;
    _tile_stored(0, c, kRowBytes);
    _tile_stored(1, c + 16, kRowBytes);
    _tile_stored(2, lower, kRowBytes);
    _tile_stored(3, lower + 16, kRowBytes);
  }
}

[[gnu::target("amx-tile")]] void configure() { _tile_loadconfig(&kConfig); }
[[gnu::target("amx-tile")]] void release() { _tile_release(); }

/// Linux gives a process the tile registers on demand (Documentation/arch/x86/xstate.rst).
bool ask_for_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

/// Three parts of two steps of two panels, numbers of all sizes, some that flush to zero.
bool agrees_with_twin() {
  constexpr int64_t kPanels = 2, kSteps = 2, kParts = 3;
  constexpr size_t kStep = kParts * 2 * kHalfTile / 2;  // in bf16
  std::vector<uint16_t> a(kPanels * kSteps * kStep), b(kSteps * kStep);
  uint32_t state = 1;
  const auto next = [&] { return (state = state * 1664525u + 1013904223u) >> 8; };
  for (std::vector<uint16_t>* values : {&a, &b}) {
    for (uint16_t& x : *values) {
      const uint32_t tiny = next() % 64 == 0 ? 60u : 0u;
      x = static_cast<uint16_t>(next() % 2 << 15 | (118u - tiny + next() % 16) << 7 | next() % 128);
    }
  }
  std::vector<float> twin(kPanels * kSplitTile * kSplitTile), amx(twin.size());
  avx512::split_kernels.tiles[kParts - 1](a.data(), kPanels, b.data(), kSteps, twin.data());
  amx_begin();
  amx_tiles<kParts>(a.data(), kPanels, b.data(), kSteps, amx.data());
  amx_end();
  return std::memcmp(twin.data(), amx.data(), twin.size() * sizeof(float)) == 0;
}

const char* find_trouble() {
  if (!cpu_features().amx) return "this machine does not have it";
  if (!cpu_features().avx512_bf16) return "this machine does not have AVX512-BF16 beside it";
  if (!ask_for_tiles()) return "the system does not allow its use";
  if (!agrees_with_twin()) return "its sums are not in the documented order";
  return "";
}

#else

const char* find_trouble() { return "this machine does not have it"; }

#endif

}  // namespace

const char* amx_trouble() {
  static const char* const trouble = find_trouble();
  return trouble;
}

bool amx_works() { return *amx_trouble() == '\0'; }

void amx_begin() {
#ifdef TESSERA_AMX
  configure();
#endif
}
void amx_end() {
#ifdef TESSERA_AMX
  release();
#endif
}

template <int Parts>
void amx_tiles([[maybe_unused]] const void* a, [[maybe_unused]] int64_t panels,
               [[maybe_unused]] const void* b, [[maybe_unused]] int64_t steps,
               [[maybe_unused]] float* c) {
#ifdef TESSERA_AMX
  tiles<Parts>(static_cast<const char*>(a), panels, static_cast<const char*>(b), steps, c);
#endif
}

template void amx_tiles<1>(const void*, int64_t, const void*, int64_t, float*);
template void amx_tiles<2>(const void*, int64_t, const void*, int64_t, float*);
template void amx_tiles<3>(const void*, int64_t, const void*, int64_t, float*);

}  // namespace tessera
