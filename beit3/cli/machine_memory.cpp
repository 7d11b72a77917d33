#include "beit3/cli/machine_memory.h"

#include <algorithm>
#include <fstream>

#include "beit3/cli/exit_codes.h"
#include "beit3/cli/terminal.h"
#include "beit3/model/model.h"

namespace tessera::beit3::cli {
namespace {

/// A field of /proc/meminfo in bytes; 0 if there is none.
double meminfo_bytes(const std::string& field) {
  std::ifstream file("/proc/meminfo");
  std::string name;
  double kilobytes = 0;
  while (file >> name >> kilobytes) {
    if (name == field + ":") return kilobytes * 1024;
    file.ignore(256, '\n');
  }
  return 0;
}

/// The limit of the control group; 0: none. It may be told as no number, or a huge one.
double group_limit() {
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream file(path);
    double bytes = 0;
    if (file >> bytes && bytes > 0 && bytes < 1e15) return bytes;
  }
  return 0;
}

/// The most that this process can get: what the system has available, and no more than its control
/// group allows. 0: unknown.
double available_memory() {
  const double system = meminfo_bytes("MemAvailable"), limit = group_limit();
  if (limit == 0 || system == 0) return std::max(limit, system);
  return std::min(system, limit);
}

}  // namespace

std::string memory_text() {
  std::string text = bytes_text(meminfo_bytes("MemAvailable")) + " available of " +
                     bytes_text(meminfo_bytes("MemTotal"));
  if (const double limit = group_limit(); limit > 0) {
    text += "; the control group allows " + bytes_text(limit);
  }
  return text;
}

void check_training_fits(const ModelConfig& config, bool one_modality) {
  const double available = available_memory();
  const PretrainModel model(config, {.shape_only = true});
  const double parameters = static_cast<double>(model.parameter_count());
  // Of two experts one, which is nearly half; a refusal has to be sure.
  const double share = one_modality ? 0.4 : 1;
  const double least = parameters * sizeof(float) * (1 + 3 * share);
  check<UsageError>(available == 0 || least <= available,
                    "training {} parameters takes at least {} for weights, gradients and moments, "
                    "and {} are available; choose a smaller model (--preset, or model.width and "
                    "model.layers)",
                    model.parameter_count(), bytes_text(least), bytes_text(available));
}

}  // namespace tessera::beit3::cli
