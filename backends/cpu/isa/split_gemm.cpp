#include "backends/cpu/isa/split_gemm.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "backends/cpu/isa/simd.h"
#include "backends/cpu/isa/transpose.h"
#if defined(__AVX512F__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <xmmintrin.h>
#endif

// Panels of 32 lines. Their steps follow each other; a step has its parts side by side, and a part
// two halves of 16 lines (split_gemm.h).
namespace tessera {
namespace {

constexpr int64_t kHalf = 16;
constexpr int64_t kPairs = kSplitTerms / 2;

constexpr int64_t step_bytes(int parts) { return parts * 2 * kHalfTile; }

/// The next part of x, which becomes what is left.
inline uint32_t take_part(float& x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  const uint32_t exponent = u & 0x7F800000u;
  const uint32_t quiet = (u & 0x7FFFFFu) != 0 ? 0x400000u : 0u;  // a NaN stays one
  uint32_t part = exponent != 0x7F800000u ? u + 0x7FFFu + (u >> 16 & 1u) : u | quiet;
  part &= 0xFFFF0000u;
  if (exponent == 0) part &= 0x80000000u;  // below the least normal number
  const bool left = (part & 0x7F800000u) != 0x7F800000u;
  x = left ? x - std::bit_cast<float>(part) : 0.0f;
  return part;
}

/// Splits half a tile of A: 16 lines of 32 terms, one after the other.
template <int Parts>
inline void split_lines(float* x, char* to) {
  uint16_t part[kHalf * kSplitTerms];
  for (int s = 0; s < Parts; ++s, to += 2 * kHalfTile) {
    for (int64_t i = 0; i < kHalf * kSplitTerms; ++i) {
      part[i] = static_cast<uint16_t>(take_part(x[i]) >> 16);
    }
    std::memcpy(to, part, sizeof(part));
  }
}

/// Splits half a tile of B: 32 terms of 16 lines, all lines of a term before the next.
template <int Parts>
inline void split_pairs(float* x, char* to) {
  uint32_t part[kHalf * kPairs];
  for (int s = 0; s < Parts; ++s, to += 2 * kHalfTile) {
    for (int64_t p = 0; p < kPairs; ++p) {
      float *even = x + 2 * p * kHalf, *odd = even + kHalf;
      for (int64_t i = 0; i < kHalf; ++i) {
        const uint32_t low = take_part(even[i]) >> 16;
        part[p * kHalf + i] = low | take_part(odd[i]);
      }
    }
    std::memcpy(to, part, sizeof(part));
  }
}

#if defined(__AVX512F__)

/// 16 numbers by the instructions of AVX512-BF16, which every machine with AMX has: the same parts.
using Native = __m512;

inline __m512i widened(__m256i halves) { return _mm512_cvtepu16_epi32(halves); }
inline __m512i raised(__m256i halves) { return _mm512_slli_epi32(widened(halves), 16); }

/// Their next part; x becomes what is left.
[[gnu::target("avx512bf16")]] inline __m256i take_part(Native& x) {
  constexpr int kNotFinite = 0x99;  // infinities and NaN
  const __m256i part = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x));
  const __m512 value = _mm512_castsi512_ps(raised(part));
  const __mmask16 left = _knot_mask16(_mm512_fpclass_ps_mask(value, kNotFinite));
  x = _mm512_maskz_sub_ps(left, x, value);
  return part;
}

template <int Parts>
[[gnu::target("avx512bf16")]] inline void split_lines_natively(const float* x, char* to) {
  for (int64_t i = 0; i < kHalf * kSplitTerms; i += 16) {
    Native value = _mm512_loadu_ps(x + i);
    for (int s = 0; s < Parts; ++s) {
      __m256i part = take_part(value);
      std::memcpy(to + s * 2 * kHalfTile + 2 * i, &part, sizeof(part));
    }
  }
}

template <int Parts>
[[gnu::target("avx512bf16")]] inline void split_pairs_natively(const float* x, char* to) {
  for (int64_t p = 0; p < kPairs; ++p) {
    Native even = _mm512_loadu_ps(x + 2 * p * kHalf),
           odd = _mm512_loadu_ps(x + (2 * p + 1) * kHalf);
    for (int s = 0; s < Parts; ++s) {
      const __m256i low = take_part(even), high = take_part(odd);
      const __m512i part = _mm512_or_si512(widened(low), raised(high));
      std::memcpy(to + s * 2 * kHalfTile + p * 64, &part, sizeof(part));
    }
  }
}

#endif

/// Half a tile of the source, zeros where it has none: `to`, by lines or by terms.
template <bool ByLine>
inline void gather(const GemmSource<float>& source, int64_t lines, int64_t terms, float* to) {
  const int64_t line_step = ByLine ? kSplitTerms : 1, term_step = ByLine ? 1 : kHalf;
  const bool whole = lines == kHalf && terms == kSplitTerms;
  if (!whole) std::fill_n(to, kHalf * kSplitTerms, 0.0f);
  const float* from = source.from;
  if ((source.k_step == 1) == ByLine) {  // it lies as it is wanted
    constexpr int64_t kOuter = ByLine ? kHalf : kSplitTerms, kInner = ByLine ? kSplitTerms : kHalf;
    const int64_t from_step = ByLine ? source.line_step : source.k_step;
    if (whole) {  // lengths known beforehand become moves instead of calls
      for (int64_t i = 0; i < kOuter; ++i)
        std::copy_n(from + i * from_step, kInner, to + i * kInner);
    } else {
      const int64_t outer = ByLine ? lines : terms, inner = ByLine ? terms : lines;
      for (int64_t i = 0; i < outer; ++i) std::copy_n(from + i * from_step, inner, to + i * kInner);
    }
  } else if (whole) {
    const int64_t from_step = ByLine ? source.k_step : source.line_step;
    const int64_t to_step = ByLine ? line_step : term_step;
    for (int64_t i = 0; i < (ByLine ? kSplitTerms : kHalf); i += 8) {
      for (int64_t j = 0; j < (ByLine ? kHalf : kSplitTerms); j += 8) {
        transpose_8x8(from + i * from_step + j, from_step, to + j * to_step + i, to_step);
      }
    }
  } else {
    for (int64_t i = 0; i < lines; ++i) {
      for (int64_t k = 0; k < terms; ++k) {
        to[i * line_step + k * term_step] = from[i * source.line_step + k * source.k_step];
      }
    }
  }
}

/// What multiplies. Where AMX is, AVX512-BF16 is too.
enum class Unit { vectors, tiles };

template <int Parts, bool ByLine, Unit Where>
inline void split(float* x, char* to) {
#if defined(__AVX512F__)
  if constexpr (Where == Unit::tiles) {
    return ByLine ? split_lines_natively<Parts>(x, to) : split_pairs_natively<Parts>(x, to);
  }
#endif
  ByLine ? split_lines<Parts>(x, to) : split_pairs<Parts>(x, to);
}

template <int Parts, bool ByLine, Unit Where>
[[gnu::flatten]] void pack(const GemmSource<float>& source, int64_t lines, int64_t depth,
                           void* panels) {
  char* to = static_cast<char*>(panels);
  float x[kHalf * kSplitTerms];
  for (int64_t panel = 0; panel < lines; panel += kSplitTile) {
    for (int64_t k = 0; k < depth; k += kSplitTerms, to += step_bytes(Parts)) {
      for (int64_t half = 0; half < 2; ++half) {
        const int64_t line = panel + half * kHalf;
        GemmSource<float> from = source;
        from.from += line * source.line_step + k * source.k_step;
        const int64_t some = std::clamp<int64_t>(lines - line, 0, kHalf);
        gather<ByLine>(from, some, std::min(depth - k, kSplitTerms), x);
        split<Parts, ByLine, Where>(x, to + half * kHalfTile);
      }
    }
  }
}

/// From now on numbers below the least normal one count as 0, as AMX takes and gives them. Returns
/// what to give `set_rounding` in the end. (An object that did so would bring weak symbols.)
inline unsigned flush_tiny() {
#if defined(__SSE2__)
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040u);
  return before;
#else
  return 0;
#endif
}
inline void set_rounding([[maybe_unused]] unsigned before) {
#if defined(__SSE2__)
  _mm_setcsr(before);
#endif
}

/// 16 rows of 32 terms, as f32.
inline void unpack_lines(const char* from, float* to) {
  uint16_t part[kHalf * kSplitTerms];
  std::memcpy(part, from, sizeof(part));
  for (int64_t i = 0; i < kHalf * kSplitTerms; ++i) {
    to[i] = std::bit_cast<float>(static_cast<uint32_t>(part[i]) << 16);
  }
}

/// The even and the odd terms of 16 columns, as f32.
inline void unpack_pairs(const char* from, float* even, float* odd) {
  uint32_t part[kHalf * kPairs];
  std::memcpy(part, from, sizeof(part));
  for (int64_t i = 0; i < kHalf * kPairs; ++i) {
    even[i] = std::bit_cast<float>(part[i] << 16);
    odd[i] = std::bit_cast<float>(part[i] & 0xFFFF0000u);
  }
}

/// What TDPBF16PS does: 16 x 16 elements of c, rows of 32.
inline void add_half_tiles(const float* a, const float* even, const float* odd, float* c) {
  constexpr int kRows = 2;  // four chains beside each other
  for (int64_t r = 0; r < kHalf; r += kRows) {
    F32x16 e[kRows], o[kRows];
    for (int i = 0; i < kRows; ++i) e[i] = o[i] = F32x16(0.0f);
    for (int64_t p = 0; p < kPairs; ++p) {
      const F32x16 b_even = F32x16::load(even + p * kHalf), b_odd = F32x16::load(odd + p * kHalf);
      for (int i = 0; i < kRows; ++i) {
        const float* pair = a + (r + i) * kSplitTerms + 2 * p;
        e[i] = fma(F32x16(pair[0]), b_even, e[i]);
        o[i] = fma(F32x16(pair[1]), b_odd, o[i]);
      }
    }
    for (int i = 0; i < kRows; ++i) {
      float* row = c + (r + i) * kSplitTile;
      (F32x16::load(row) + (e[i] + o[i])).store(row);
    }
  }
}

template <int Parts>
[[gnu::flatten]] void twin_tiles(const void* a, int64_t panels, const void* b, int64_t steps,
                                 float* c) {
  const unsigned before = flush_tiny();
  constexpr int64_t kElements = kHalf * kSplitTerms;
  float rows[2][kElements], even[2][kElements / 2], odd[2][kElements / 2];
  std::fill_n(c, panels * kSplitTile * kSplitTile, 0.0f);
  for (int64_t panel = 0; panel < panels; ++panel, c += kSplitTile * kSplitTile) {
    const char* b_step = static_cast<const char*>(b);
    const char* a_step = static_cast<const char*>(a) + panel * steps * step_bytes(Parts);
    for (int64_t s = 0; s < steps; ++s, a_step += step_bytes(Parts), b_step += step_bytes(Parts)) {
      for (const int(&product)[2] : kPartProducts<Parts>) {
        const int x = product[0], y = product[1];
        for (int64_t half = 0; half < 2; ++half) {
          unpack_lines(a_step + (2 * x + half) * kHalfTile, rows[half]);
          unpack_pairs(b_step + (2 * y + half) * kHalfTile, even[half], odd[half]);
        }
        for (int64_t i = 0; i < 2; ++i) {
          for (int64_t j = 0; j < 2; ++j) {
            add_half_tiles(rows[i], even[j], odd[j], c + i * kHalf * kSplitTile + j * kHalf);
          }
        }
      }
    }
  }
  set_rounding(before);
}

/// Rows whose sums are made beside each other: three tiles of a block of 96.
constexpr int64_t kPanelsAtOnce = 4;

template <int Parts, Unit Where>
[[gnu::flatten]] void multiply(const GemmBlock<float>& block) {
  constexpr bool kAmx = Where == Unit::tiles;
  constexpr SplitTiles kTiles = kAmx ? amx_tiles<Parts> : twin_tiles<Parts>;
  if constexpr (kAmx) amx_begin();
  alignas(64) float sums[kPanelsAtOnce * kSplitTile * kSplitTile];
  const int64_t steps = (block.depth + kSplitTerms - 1) / kSplitTerms;
  const int64_t panel_bytes = steps * step_bytes(Parts);
  const char* b = static_cast<const char*>(block.b);
  for (int64_t j = 0; j < block.cols; j += kSplitTile, b += panel_bytes) {
    const int64_t cols = std::min(kSplitTile, block.cols - j);
    const char* a = static_cast<const char*>(block.packed_a);
    for (int64_t i = 0; i < block.rows; i += kPanelsAtOnce * kSplitTile) {
      const int64_t rows = std::min(kPanelsAtOnce * kSplitTile, block.rows - i);
      const int64_t panels = (rows + kSplitTile - 1) / kSplitTile;
      kTiles(a, panels, b, steps, sums);
      a += panels * panel_bytes;
      for (int64_t r = 0; r < rows; ++r) {
        float* c = block.c + (i + r) * block.c_row + j;
        for (int64_t k = 0; k < cols; k += kHalf) {
          const int64_t n = std::min(kHalf, cols - k);
          F32x16 sum = F32x16::load(sums + r * kSplitTile + k);
          if (block.bias != nullptr) sum = sum + F32x16::load(block.bias + j + k, n);
          if (block.accumulate) sum = sum + F32x16::load(c + k, n);
          sum.store(c + k, n);
        }
      }
    }
  }
  if constexpr (kAmx) amx_end();
}

template <int Parts, Unit Where>
constexpr GemmHalf<float> half() {
  return {.tile_rows = kSplitTile,
          .tile_cols = kSplitTile,
          .packed_bytes = 2 * Parts,
          .depth_step = kSplitTerms,
          .reads_in_place = false,
          .pack_a = pack<Parts, true, Where>,
          .pack_b = pack<Parts, false, Where>,
          .multiply = multiply<Parts, Where>};
}

}  // namespace

namespace TESSERA_ISA {
extern const SplitKernels split_kernels = {
    .tiles = {twin_tiles<1>, twin_tiles<2>, twin_tiles<3>},
    .twin = {half<1, Unit::vectors>(), half<2, Unit::vectors>(), half<3, Unit::vectors>()},
    .amx = {half<1, Unit::tiles>(), half<2, Unit::tiles>(), half<3, Unit::tiles>()}};
}

}  // namespace tessera
