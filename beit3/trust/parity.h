#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "beit3/trust/report.h"

namespace tessera::beit3 {

struct ParityOptions {
  std::optional<DType> dtype = {};  ///< of the computation, f32 or f64; none: of the record
  std::optional<double> tolerance =
      {};  ///< share of the largest value; none: what the folder states
};

/// Names of the cases of a folder, in the order of its manifest, then its checkpoints; those that
/// cannot be run yet are included.
std::vector<std::string> parity_cases(const std::filesystem::path& folder);

/// Runs recorded cases of the official models: the encoder's passes and an optimizer's steps
/// (folders with a BEiT-3), the image tokenizer's parts and its training (VQ-KD), steps of masked
/// data modelling. A folder holds manifest.json with sizes and cases, NAME.weights.safetensors, and
/// CASE.safetensors with inputs and results. Checkpoints of PyTorch (.pth) beside them are cases
/// too: NAME.pth has to hold the tensors of NAME.weights.safetensors, bit for bit; one of a
/// training what the same steps give here.
///
/// Case names may hold `*`; none: all. A case of a kind that is not there yet is reported as such.
/// Throws IoError for files that are missing or malformed, ValueError for a case that does not
/// exist or another dtype.
std::vector<CaseReport> run_parity(const std::filesystem::path& folder,
                                   const std::vector<std::string>& cases = {},
                                   const ParityOptions& options = {});

}  // namespace tessera::beit3
