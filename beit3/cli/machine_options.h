#pragma once

#include <string>
#include <vector>

#include "beit3/cli/command.h"

namespace tessera::beit3::cli {

/// How a command uses the machine. Threads and instructions change no result.
struct MachineOptions {
  int64_t threads = 0;  ///< 0: one a core
  std::string isa;      ///< "": the best
  std::string gemm;     ///< "": auto

  void add_to(std::vector<Option>& options) {
    options.push_back({"--threads", &threads,
                       "threads that compute; 0: one a core (results are "
                       "the same bits)"});
    options.push_back({"--isa", &isa,
                       "vector instructions: portable, avx2 or avx512 (results are "
                       "the same bits)",
                       "SET"});
    options.push_back({"--gemm", &gemm,
                       "dense products: auto, openblas or packed (ours; the two differ in the last "
                       "bits)",
                       "WHO"});
  }
  /// Throws ValueError.
  void apply() const;
};

}  // namespace tessera::beit3::cli
