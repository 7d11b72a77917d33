#pragma once

#include <string>
#include <string_view>

#include "backends/cpu/cpu_features.h"

namespace tessera {

/// Readies OpenBLAS, once a process: one thread a call, since the pool cuts the work, and kernels
/// that fit the processor. OpenBLAS tells processors by their model numbers; one younger than
/// itself gets kernels without AVX (measured: OpenBLAS 0.3.21 on Xeon model 207, a third of the
/// speed). The environment variable OPENBLAS_CORETYPE, where set, is obeyed.
void start_openblas();

/// The kernels in use, by OpenBLAS's names: "Haswell", "SkylakeX", …
std::string_view openblas_core();

/// The kernels that `core` should give way to on a processor with these features; empty if they
/// fit.
std::string_view better_openblas_core(std::string_view core, const CpuFeatures& features);

/// Makes OpenBLAS take other kernels. Not while work runs. False, and nothing is changed, if it was
/// built for one processor.
bool set_openblas_core(std::string_view core);

/// "SkylakeX kernels", and the remedy where a set variable forces slow ones.
std::string openblas_description();

}  // namespace tessera
