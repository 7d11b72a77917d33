#pragma once

#include <string>
#include <string_view>

namespace tessera {

/// Who computes dense products.
enum class Gemm {
  automatic,  ///< packed where the processor has AVX2, OpenBLAS elsewhere
  openblas,   ///< openblas_gemm.h
  packed,     ///< packed_gemm.h: the same bits on every instruction set
};

/// Selects it by name: "auto", "openblas" or "packed". The two differ in the last bits. Not while
/// work runs. ValueError if there is no such name.
void set_gemm(std::string_view name);

/// Who computes now: openblas or packed.
Gemm active_gemm();

/// One line: who computes dense products, on which kernels, and the remedy if they are slow ones.
std::string gemm_description();

}  // namespace tessera
