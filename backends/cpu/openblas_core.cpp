#include "backends/cpu/openblas_core.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <string>

extern "C" {
void openblas_set_num_threads(int);
char* openblas_get_corename();
// Only in an OpenBLAS that holds kernels for many processors.
[[gnu::weak]] void gotoblas_dynamic_quit();
[[gnu::weak]] void gotoblas_dynamic_init();
}

namespace tessera {
namespace {

constexpr const char* kCoreVariable = "OPENBLAS_CORETYPE";

// The kernels that OpenBLAS falls back to, and those of the Intel processors before AVX2.
constexpr std::string_view kCoresBeforeAvx2[] = {"Prescott",   "Core2",   "Penryn",
                                                 "Dunnington", "Nehalem", "Sandybridge"};

}  // namespace

std::string_view openblas_core() { return openblas_get_corename(); }

std::string_view better_openblas_core(std::string_view core, const CpuFeatures& features) {
  if (std::ranges::find(kCoresBeforeAvx2, core) == std::end(kCoresBeforeAvx2)) return {};
  return features.avx512 ? "SkylakeX" : features.avx2 ? "Haswell" : "";
}

bool set_openblas_core(std::string_view core) {
  if (gotoblas_dynamic_init == nullptr || gotoblas_dynamic_quit == nullptr) return false;
  std::optional<std::string> before;
  if (const char* value = std::getenv(kCoreVariable)) before = value;
  // The variable is the only way to say a name; it is read by gotoblas_dynamic_init alone.
  setenv(kCoreVariable, std::string(core).c_str(), 1);
  gotoblas_dynamic_quit();
  gotoblas_dynamic_init();
  before ? setenv(kCoreVariable, before->c_str(), 1) : unsetenv(kCoreVariable);
  return true;
}

void start_openblas() {
  static const bool started = [] {
    openblas_set_num_threads(1);
    const std::string_view core = better_openblas_core(openblas_core(), cpu_features());
    if (!core.empty() && std::getenv(kCoreVariable) == nullptr) set_openblas_core(core);
    return true;
  }();
  static_cast<void>(started);
}

std::string openblas_description() {
  start_openblas();
  std::string text = std::string(openblas_core()) + " kernels";
  const std::string_view better = better_openblas_core(openblas_core(), cpu_features());
  if (!better.empty()) {
    text += " (slow on this processor; " + std::string(better) + " would run without " +
            std::string(kCoreVariable) + ")";
  }
  return text;
}

}  // namespace tessera
