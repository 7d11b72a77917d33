#pragma once

#include "backends/cpu/isa/isa_name.h"

/// `F32x16` and `F64x16`: sixteen numbers whatever the registers, the same bits on every
/// instruction set. Each operation is one IEEE operation per lane, `fma` is explicit, and `sum` is
/// a fixed tree. `F64x16` has the same interface, so a kernel is a template over the vector type
/// and the f64 gradient checks run the very code that f32 training runs.
///
/// For files in isa/ only: everything is in anonymous namespaces, since a weak copy compiled for
/// AVX-512 could be the one that the linker gives to everybody. Mark a kernel's entry
/// `[[gnu::flatten]]`: g++ leaves `exp` uninlined otherwise.
///
/// V::load(p), V::load(p, n)      n in 0 … 16: the other lanes are 0
/// x.store(p), x.store(p, n)
/// V(s)                           all lanes s
/// + - * /, unary -, fma(a, b, c) = a b + c
/// < <= > >= == !=                a Mask; false where a NaN takes part, but != is true
/// select(mask, a, b), V::first(n), mask & | !, any(mask), lanes(mask) (bit i is lane i)
/// max(a, b), min(a, b)           b where either is NaN
/// abs, sqrt, sum, max_of, min_of
/// exp, log, log1p, erf, tanh, sin, cos, pow (simd_math.h)
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include "backends/cpu/isa/simd_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__)
#include "backends/cpu/isa/simd_avx2.h"
#else
#include "backends/cpu/isa/simd_portable.h"
#endif

#include "backends/cpu/isa/simd_f64.h"
#include "backends/cpu/isa/simd_math.h"
