#pragma once

#include <string>
#include <string_view>

#include "backends/cpu/roof.h"
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

/// Selects who computes dense products of f32 on the CPU: "auto", "openblas", "packed" (our own,
/// the same bits on every instruction set), or by way of bf16, for AMX: "bf16x6" (as exact as f32),
/// "bf16x3" (16 bits) and "bf16" (8 bits). They differ in the last bits. Not while work runs.
/// ValueError if there is no such name.
void set_products(std::string_view name);

/// Does a row of a product on the CPU depend on its inputs alone, to the bit?
bool cpu_products_are_row_exact();

/// One line: who computes dense products, on which kernels, and the remedy if they are slow ones.
std::string products_description();

/// One line: can products run on AMX tiles, and how; or why not.
std::string amx_description();

}  // namespace tessera
