#include "backends/cpu/isa/random.h"

#include "backends/cpu/isa/simd.h"

namespace tessera {
namespace {

/// Eight numbers of 32 bits, each in the lower half of 64: what the multiplication wants. The upper
/// halves hold anything.
#if defined(__AVX512F__)
struct Wide {
  __m512i r;
};
inline Wide wide(uint64_t x) { return {_mm512_set1_epi64(static_cast<int64_t>(x))}; }
inline Wide load(const uint64_t* p) { return {_mm512_loadu_si512(p)}; }
inline void store(Wide a, uint64_t* p) { _mm512_storeu_si512(p, a.r); }
inline Wide operator*(Wide a, Wide b) {
  return {_mm512_maskz_mul_epu32(static_cast<__mmask8>(0xFF), a.r, b.r)};
}
inline Wide operator^(Wide a, Wide b) { return {_mm512_xor_si512(a.r, b.r)}; }
inline Wide upper(Wide a) {
  return {_mm512_maskz_srli_epi64(static_cast<__mmask8>(0xFF), a.r, 32)};
}
/// The lower halves of a below those of b: two words as memory has them on this processor.
inline Wide pair(Wide a, Wide b) {
  return {_mm512_mask_blend_epi32(static_cast<__mmask16>(0xAAAA), a.r,
                                  _mm512_maskz_slli_epi64(static_cast<__mmask8>(0xFF), b.r, 32))};
}
#elif defined(__AVX2__)
struct Wide {
  __m256i lo, hi;
};
inline Wide wide(uint64_t x) {
  const __m256i r = _mm256_set1_epi64x(static_cast<int64_t>(x));
  return {r, r};
}
inline Wide load(const uint64_t* p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 4))};
}
inline void store(Wide a, uint64_t* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.lo);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 4), a.hi);
}
inline Wide operator*(Wide a, Wide b) {
  return {_mm256_mul_epu32(a.lo, b.lo), _mm256_mul_epu32(a.hi, b.hi)};
}
inline Wide operator^(Wide a, Wide b) {
  return {_mm256_xor_si256(a.lo, b.lo), _mm256_xor_si256(a.hi, b.hi)};
}
inline Wide upper(Wide a) { return {_mm256_srli_epi64(a.lo, 32), _mm256_srli_epi64(a.hi, 32)}; }
/// The lower halves of a below those of b: two words as memory has them on this processor.
inline Wide pair(Wide a, Wide b) {
  return {_mm256_blend_epi32(a.lo, _mm256_slli_epi64(b.lo, 32), 0xAA),
          _mm256_blend_epi32(a.hi, _mm256_slli_epi64(b.hi, 32), 0xAA)};
}
#else
struct Wide {
  uint64_t v[8];
};
template <class F>
inline Wide each_wide(F f) {
  Wide y;
  for (int i = 0; i < 8; ++i) y.v[i] = f(i);
  return y;
}
inline Wide wide(uint64_t x) {
  return each_wide([&](int) { return x; });
}
inline Wide load(const uint64_t* p) {
  return each_wide([&](int i) { return p[i]; });
}
inline void store(Wide a, uint64_t* p) {
  for (int i = 0; i < 8; ++i) p[i] = a.v[i];
}
inline Wide operator*(const Wide& a, const Wide& b) {
  return each_wide([&](int i) { return (a.v[i] & 0xFFFFFFFFull) * (b.v[i] & 0xFFFFFFFFull); });
}
inline Wide operator^(const Wide& a, const Wide& b) {
  return each_wide([&](int i) { return a.v[i] ^ b.v[i]; });
}
inline Wide upper(const Wide& a) {
  return each_wide([&](int i) { return a.v[i] >> 32; });
}
/// The lower halves of a and b, two words in the order that memory has.
inline Wide pair(const Wide& a, const Wide& b) {
  return each_wide([&](int i) {
    const uint32_t both[2] = {static_cast<uint32_t>(a.v[i]), static_cast<uint32_t>(b.v[i])};
    uint64_t y;
    __builtin_memcpy(&y, both, 8);
    return y;
  });
}
#endif

/// Eight Philox blocks from `first` on: word w of block b to out[4 b + w]. rng.h's function may not
/// be used here, it is inline with external linkage.
inline void philox8(uint64_t key, uint64_t first, uint32_t* out) {
  uint64_t counter[8];
  for (uint64_t b = 0; b < 8; ++b) counter[b] = first + b;
  Wide c0 = load(counter), c1 = upper(c0), c2 = wide(0), c3 = wide(0);
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const Wide p0 = c0 * wide(0xD2511F53u), p1 = c2 * wide(0xCD9E8D57u);
    c0 = upper(p1) ^ c1 ^ wide(k0);
    c2 = upper(p0) ^ c3 ^ wide(k1);
    c1 = p1;
    c3 = p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  uint64_t left[8], right[8];
  store(pair(c0, c1), left);
  store(pair(c2, c3), right);
  for (int b = 0; b < 8; ++b) {
    __builtin_memcpy(out + 4 * b, left + b, 8);
    __builtin_memcpy(out + 4 * b + 2, right + b, 8);
  }
}

[[gnu::flatten]] void words(uint64_t key, uint64_t first, int64_t blocks, uint32_t* out) {
  for (int64_t b = 0; b < blocks; b += 8) {
    philox8(key, first + static_cast<uint64_t>(b), out + 4 * b);
  }
}

[[gnu::flatten]] void uniform(uint64_t key, uint64_t first, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; b += 8) {
    uint32_t word[32];
    philox8(key, first + static_cast<uint64_t>(b), word);
    for (int i = 0; i < 32; ++i) {  // 24 bits fit a signed number, which converts faster
      out[4 * b + i] = static_cast<float>(static_cast<int32_t>(word[i] >> 8)) * 0x1p-24f;
    }
  }
}

/// (word + 1/2) 2^-32, rounded once: both terms are exact.
inline F32x16 fraction(const uint32_t* word) {
  float high[16], low[16];
  for (int i = 0; i < 16; ++i) {
    high[i] = static_cast<float>(static_cast<int32_t>(word[i] >> 8)) * 0x1p-24f;
    low[i] = (static_cast<float>(static_cast<int32_t>(word[i] & 0xFFu)) + 0.5f) * 0x1p-32f;
  }
  return F32x16::load(high) + F32x16::load(low);
}

/// sqrt(-2 log u), u the fraction of the word. Near 1 from 1 - u, which is exact there.
inline F32x16 radius_of(const uint32_t* word) {
  uint32_t rest[16];
  for (int i = 0; i < 16; ++i) rest[i] = ~word[i];
  const F32x16 u = fraction(word), v = fraction(rest);
  const F32x16 y = select(u < F32x16(0.5f), log(u), log1p(-v));
  return sqrt(F32x16(-2.0f) * y);
}

/// cos and sin of 2 pi word / 2^32, times the radius, in pairs.
inline void rotate(F32x16 radius, const uint32_t* word, float* out) {
  float turn[16];
  uint32_t quadrant[16];
  for (int i = 0; i < 16; ++i) {  // the nearest multiple of a quarter turn, and what is left
    quadrant[i] = (word[i] + 0x20000000u) >> 30;
    turn[i] = static_cast<float>(static_cast<int32_t>(word[i] - (quadrant[i] << 30)));
  }
  const F32x16 x = F32x16::load(turn) * F32x16(1.4629180792671596e-9f), z = x * x;
  const F32x16 s =
      x * polynomial(z, 1.0f, -1.6666667e-1f, 8.3333333e-3f, -1.9841270e-4f, 2.7557319e-6f);
  const F32x16 c =
      polynomial(z, 1.0f, -0.5f, 4.1666668e-2f, -1.3888889e-3f, 2.4801587e-5f, -2.7557319e-7f);
  float sine[16], cosine[16];
  (radius * s).store(sine);
  (radius * c).store(cosine);
  for (int i = 0; i < 16; ++i) {
    const bool swap = (quadrant[i] & 1u) != 0;
    const float a = swap ? sine[i] : cosine[i], b = swap ? cosine[i] : sine[i];
    out[2 * i] = quadrant[i] == 1 || quadrant[i] == 2 ? -a : a;
    out[2 * i + 1] = quadrant[i] >= 2 ? -b : b;
  }
}

[[gnu::flatten]] void normal(uint64_t key, uint64_t first, int64_t blocks, float* out) {
  for (int64_t b = 0; b < blocks; b += 8, out += 32) {
    uint32_t word[32], radius[16], angle[16];
    philox8(key, first + static_cast<uint64_t>(b), word);
    for (int i = 0; i < 16; ++i) {
      radius[i] = word[2 * i];
      angle[i] = word[2 * i + 1];
    }
    rotate(radius_of(radius), angle, out);
  }
}

[[gnu::flatten]] void dropout(const float* drawn, float threshold, float scale, const float* x,
                              float* y, int64_t n) {
  const F32x16 least(threshold), factor(scale), zero(0.0f);
  const auto f = [&](F32x16 u, F32x16 v) { return select(u >= least, v * factor, zero); };
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) f(F32x16::load(drawn + i), F32x16::load(x + i)).store(y + i);
  if (i < n) f(F32x16::load(drawn + i, n - i), F32x16::load(x + i, n - i)).store(y + i, n - i);
}

}  // namespace

namespace TESSERA_ISA {
extern const RandomKernels random_kernels = {
    .words = words, .uniform = uniform, .normal = normal, .dropout = dropout};
}

}  // namespace tessera
