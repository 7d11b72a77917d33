#pragma once

#include <string>
#include <string_view>

#include "tensor/base/backend.h"

namespace tessera {

/// The backend of a device; lives as long as the program. Throws DeviceError, with the remedy, if
/// this build or machine does not have it.
Backend& backend(const Device& device);

/// Selects the instruction set of the CPU's vector kernels: "portable", "avx2" or "avx512". All
/// give the same bits, so this is for measurements and tests. Not while work runs. ValueError,
/// naming what this machine has, if it lacks the set.
void set_instruction_set(std::string_view name);

/// The one in use: that of the environment variable TESSERA_ISA, otherwise the machine's best.
std::string active_instruction_set();

/// One line: the processor's name, its instruction sets, and the one in use.
std::string cpu_description();

/// The kernels that OpenBLAS runs its products on, and the remedy if they are slow ones.
std::string products_description();

}  // namespace tessera
