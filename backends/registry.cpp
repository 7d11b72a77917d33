#include "backends/registry.h"

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_features.h"
#include "backends/cpu/gemm.h"

namespace tessera {

Backend& backend(const Device& device) {
  check<DeviceError>(device.kind == DeviceKind::cpu,
                     "device {}: this build has no CUDA backend; use the CPU", device);
  return cpu_backend();
}

void set_instruction_set(std::string_view name) { set_isa(name); }

std::string active_instruction_set() { return std::string(to_string(active_isa())); }

void set_products(std::string_view name) { set_gemm(name); }

bool cpu_products_are_row_exact() { return active_gemm() != Gemm::openblas; }

std::string products_description() { return gemm_description(); }

}  // namespace tessera
