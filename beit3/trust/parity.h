#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tensor/base/dtype.h"

namespace tessera::beit3 {

/// One compared tensor.
struct Comparison {
  std::string name;
  double max_difference = 0;  ///< largest absolute difference
  double scale = 0;           ///< what it is held against: usually the largest recorded value
  double tolerance = 0;       ///< allowed share of the scale
  bool ok() const { return max_difference <= tolerance * scale; }
  double relative() const { return scale > 0 ? max_difference / scale : max_difference; }
};

/// A case of a folder of recorded numbers, compared in the order of execution.
struct CaseReport {
  std::string name;
  std::vector<Comparison> tensors;

  bool ok() const;
  /// The first tensor that differs, else null.
  const Comparison* first_difference() const;
  /// The tensor with the largest relative difference; null if nothing was compared.
  const Comparison* worst() const;
};

struct ParityOptions {
  DType dtype = DType::f32;  ///< of the computation: f32 or f64
  double tolerance = 2e-5;   ///< share of each tensor's largest value
};

/// Names of the cases of a folder that can be run here, in the order of its manifest.
std::vector<std::string> parity_cases(const std::filesystem::path& folder);

/// Runs recorded cases of the official BEiT-3 models: manifest.json with the configuration,
/// NAME.weights.safetensors and CASE.safetensors with inputs, outputs, each layer's results, and
/// the gradient of every parameter. Case names may hold `*`. Throws IoError for files that are
/// missing or malformed, ValueError for a case that does not exist or cannot be run yet.
std::vector<CaseReport> run_parity(const std::filesystem::path& folder,
                                   const std::vector<std::string>& cases = {},
                                   const ParityOptions& options = {});

}  // namespace tessera::beit3
