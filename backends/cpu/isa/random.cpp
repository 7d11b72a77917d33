#include "backends/cpu/isa/random.h"

#include "backends/cpu/isa/simd.h"

namespace tessera {
namespace {

/// Sixteen Philox blocks side by side: word[w][b] is word w of block `first + b`.
struct Blocks {
  uint32_t word[4][16];
};

// rng.h's function may not be used here, it is inline with external linkage. The loops over b are
// the ones that the compiler vectorises.
inline void philox16(uint64_t key, uint64_t first, Blocks& out) {
  uint32_t c0[16], c1[16], c2[16], c3[16];
  for (uint64_t b = 0; b < 16; ++b) {
    c0[b] = static_cast<uint32_t>(first + b);
    c1[b] = static_cast<uint32_t>((first + b) >> 32);
    c2[b] = 0;
    c3[b] = 0;
  }
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int b = 0; b < 16; ++b) {
      const uint64_t p0 = 0xD2511F53ull * c0[b], p1 = 0xCD9E8D57ull * c2[b];
      const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1[b] ^ k0;
      const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3[b] ^ k1;
      c1[b] = static_cast<uint32_t>(p1);
      c3[b] = static_cast<uint32_t>(p0);
      c0[b] = n0;
      c2[b] = n2;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  for (int b = 0; b < 16; ++b) {
    out.word[0][b] = c0[b];
    out.word[1][b] = c1[b];
    out.word[2][b] = c2[b];
    out.word[3][b] = c3[b];
  }
}

void words(uint64_t key, uint64_t first, int64_t blocks, uint32_t* out) {
  Blocks w;
  for (int64_t i = 0; i < blocks; i += 16, out += 64) {
    philox16(key, first + static_cast<uint64_t>(i), w);
    for (int b = 0; b < 16; ++b) {
      for (int k = 0; k < 4; ++k) out[4 * b + k] = w.word[k][b];
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

/// cos and sin of 2 pi word / 2^32, times the radius; to out[0], out[1], out[4], out[5], …
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
    out[4 * i] = quadrant[i] == 1 || quadrant[i] == 2 ? -a : a;
    out[4 * i + 1] = quadrant[i] >= 2 ? -b : b;
  }
}

[[gnu::flatten]] void normal(uint64_t key, uint64_t first, int64_t blocks, float* out) {
  Blocks w;
  for (int64_t i = 0; i < blocks; i += 16, out += 64) {
    philox16(key, first + static_cast<uint64_t>(i), w);
    rotate(radius_of(w.word[0]), w.word[1], out);
    rotate(radius_of(w.word[2]), w.word[3], out + 2);
  }
}

}  // namespace

namespace TESSERA_ISA {
extern const RandomKernels random_kernels = {.words = words, .normal = normal};
}

}  // namespace tessera
