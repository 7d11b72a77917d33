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
    options.push_back(
        {"--gemm", &gemm,
         "dense products of f32: auto, openblas, packed (ours), or by way of bf16, for "
         "machines with AMX: bf16x6 (as exact as f32), bf16x3 (16 bits), bf16 (8 bits)",
         "WHO"});
  }
  /// Throws ValueError.
  void apply() const;
};

}  // namespace tessera::beit3::cli
