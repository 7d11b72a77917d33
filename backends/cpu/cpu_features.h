#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tessera {

/// Instruction sets that the vector kernels are compiled for, ascending. All give the same bits.
enum class Isa : uint8_t { portable, avx2, avx512 };

/// "portable", "avx2" or "avx512".
std::string_view to_string(Isa isa);

/// What the processor can do *and* the operating system has enabled (CPUID and XCR0; never a model
/// number).
struct CpuFeatures {
  bool avx2 = false;         ///< AVX2 and FMA
  bool avx512 = false;       ///< AVX-512 F, BW, DQ, VL
  bool avx512_bf16 = false;  ///< splits numbers for AMX
  bool amx = false;          ///< AMX tiles with bf16: for products by way of bf16
  int64_t l2_bytes = 0;      ///< second-level cache of a core; 0: not known
  std::string brand;         ///< the processor's name for itself; may be empty
};
const CpuFeatures& cpu_features();

/// The best set of this machine.
Isa best_isa();

/// The set in use: that of the environment variable TESSERA_ISA ("portable", "avx2", "avx512"),
/// read once, otherwise the best. ValueError if the variable names a set this machine lacks.
Isa active_isa();

/// Of namespaces avx512, avx2 and portable, the variable of that name for the set in use. Elsewhere
/// than on x86-64 there is portable alone.
#if defined(__x86_64__)
#define TESSERA_OF_ACTIVE_ISA(variable)           \
  (active_isa() == Isa::avx512 ? avx512::variable \
   : active_isa() == Isa::avx2 ? avx2::variable   \
                               : portable::variable)
#else
#define TESSERA_OF_ACTIVE_ISA(variable) portable::variable
#endif

/// Selects a set, for measurements and tests. Not while work runs. ValueError, naming what this
/// machine has, if it lacks the set.
void set_isa(Isa isa);
void set_isa(std::string_view name);

/// One line: name of the processor, its instruction sets, and the one in use.
std::string cpu_description();

}  // namespace tessera
