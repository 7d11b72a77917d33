#include "beit3/cli/machine_options.h"

#include "backends/registry.h"
#include "beit3/cli/exit_codes.h"
#include "tensor/base/parallel.h"

namespace tessera::beit3::cli {

void MachineOptions::apply() const {
  check<UsageError>(threads >= 0 && threads <= 256, "--threads is {}; expected 0 … 256", threads);
  if (threads > 0) set_thread_count(static_cast<int>(threads));
  if (!isa.empty()) set_instruction_set(isa);
  if (!gemm.empty()) set_products(gemm);
}

}  // namespace tessera::beit3::cli
