#pragma once

/// Which instruction set this object file is compiled for, from the compiler's own flags. Names the
/// namespace of its exports and picks the registers of simd.h.
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define TESSERA_ISA avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define TESSERA_ISA avx2
#else
#define TESSERA_ISA portable
#endif
