#pragma once

namespace tessera {

/// What the processor can do at best, all threads together, with the instruction set in use.
struct CpuRoof {
  double flops = 0;       ///< f32 operations a second: fused multiply-adds in registers, 2 each
  double copy_bytes = 0;  ///< bytes a second read plus written, copying memory beyond all caches
  double read_bytes = 0;  ///< bytes a second read from there
};

/// Measures it: about a second. Other work on the machine makes it lower.
CpuRoof measure_cpu_roof();

}  // namespace tessera
