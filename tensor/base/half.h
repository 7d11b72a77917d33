#pragma once

#include <bit>
#include <cstdint>

#include "tensor/base/device_code.h"

namespace tessera {

namespace detail {
TESSERA_HD inline uint32_t bits_of(float x) {
#ifdef __CUDA_ARCH__
  return __float_as_uint(x);
#else
  return std::bit_cast<uint32_t>(x);
#endif
}
TESSERA_HD inline float float_of(uint32_t bits) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(bits);
#else
  return std::bit_cast<float>(bits);
#endif
}
}  // namespace detail

/// bfloat16: the upper half of an f32. Storage only; arithmetic happens in f32.
struct bf16 {
  uint16_t bits = 0;

  bf16() = default;
  /// Rounds to nearest, ties to even; a NaN stays a (quiet) NaN.
  TESSERA_HD explicit bf16(float x) {
    const uint32_t u = detail::bits_of(x);
    if ((u & 0x7FFFFFFFu) > 0x7F800000u) {
      bits = static_cast<uint16_t>(u >> 16 | 0x40u);
    } else {
      bits = static_cast<uint16_t>((u + 0x7FFFu + (u >> 16 & 1u)) >> 16);
    }
  }
  TESSERA_HD explicit operator float() const {
    return detail::float_of(static_cast<uint32_t>(bits) << 16);
  }
};

/// IEEE binary16. Storage only.
struct f16 {
  uint16_t bits = 0;

  f16() = default;
  /// Rounds to nearest, ties to even; overflow becomes infinity; subnormals are kept.
  TESSERA_HD explicit f16(float x) {
    const uint32_t u = detail::bits_of(x), sign = u >> 16 & 0x8000u;
    const uint32_t magnitude = u & 0x7FFFFFFFu;
    uint32_t h;
    if (magnitude > 0x7F800000u) {
      h = 0x7E00u;
    } else if (magnitude >= 0x477FF000u) {  // rounds to 65536 or more
      h = 0x7C00u;
    } else if (magnitude >= 0x38800000u) {  // normal
      h = (magnitude - 0x38000000u + 0xFFFu + (magnitude >> 13 & 1u)) >> 13;
    } else if (magnitude >= 0x33000000u) {  // subnormal: shift the mantissa with its hidden bit
      const uint32_t shift = 126u - (magnitude >> 23), m = (magnitude & 0x7FFFFFu) | 0x800000u;
      const uint32_t half = 1u << (shift - 1);
      h = (m + half - 1u + (m >> shift & 1u)) >> shift;
    } else {
      h = 0;
    }
    bits = static_cast<uint16_t>(sign | h);
  }
  TESSERA_HD explicit operator float() const {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16, m = bits & 0x3FFu;
    const uint32_t e = bits >> 10 & 0x1Fu;
    if (e == 31u) return detail::float_of(sign | 0x7F800000u | m << 13);
    if (e != 0u) return detail::float_of(sign | (e + 112u) << 23 | m << 13);
    const float tiny = static_cast<float>(m) * (1.0f / 16777216.0f);  // m * 2^-24
    return sign ? -tiny : tiny;
  }
};

}  // namespace tessera
