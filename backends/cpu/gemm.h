#pragma once

#include <string>
#include <string_view>

namespace tessera {

/// Who computes dense products.
enum class Gemm {
  automatic,  ///< packed where the processor has AVX2, OpenBLAS elsewhere
  openblas,   ///< openblas_gemm.h
  packed,     ///< packed_gemm.h: the same bits on every instruction set
  bf16x6,     ///< split_products of three parts: f32 by six products of bf16
  bf16x3,     ///< of two parts: 16 bits of each number by three
  bf16,       ///< of one: 8 bits
};

/// Selects it by name: "auto" or that of an enumerator above. They differ in the last bits. Not
/// while work runs. ValueError if there is no such name.
void set_gemm(std::string_view name);

/// Who computes now; never `automatic`.
Gemm active_gemm();

/// One line: who computes dense products, on which kernels, and the remedy if they are slow ones.
std::string gemm_description();

/// One line: can products run on AMX tiles, and how; or why not.
std::string amx_description();

}  // namespace tessera
