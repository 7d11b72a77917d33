#pragma once

#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace tessera::beit3 {

/// One compared tensor.
struct Comparison {
  std::string name;
  double max_difference = 0;  ///< largest absolute difference; infinite where one side is NaN
  double scale = 0;      ///< what it is held against: usually the largest finite recorded value
  double tolerance = 0;  ///< allowed share of the scale; 0: equal
  /// Most floats between two elements, counted in the coarser dtype of the two: small values that
  /// are nearly zero by cancellation have many.
  double ulps = 0;

  bool ok() const { return max_difference <= tolerance * scale; }
  double relative() const { return scale > 0 ? max_difference / scale : max_difference; }
};

/// Compares the elements of two tensors in row-major order, whatever their shapes. Throws
/// ShapeError, naming the tensor, if their numbers differ.
Comparison compare(std::string name, const Tensor& ours, const Tensor& recorded, double tolerance);

/// A case of a folder of recorded numbers, compared in the order of execution.
struct CaseReport {
  std::string name;
  DType dtype = DType::f32;  ///< of the computation
  std::vector<Comparison> tensors = {};
  std::vector<std::string> not_compared =
      {};                        ///< recorded, but computed by nobody: counts as different
  std::string unsupported = {};  ///< not empty: why the case could not be run

  bool supported() const { return unsupported.empty(); }
  /// Something was compared, and all that is recorded is equal.
  bool ok() const;
  /// The first tensor that differs, else null.
  const Comparison* first_difference() const;
  /// The tensor with the largest relative difference; null if nothing was compared.
  const Comparison* worst() const;
};

/// A line a case. Of a case that differs, the tensors up to the first that does follow; with
/// `every_tensor`, or for a single case, all of them.
std::string to_table(const std::vector<CaseReport>& reports, bool every_tensor = false);
/// The same as one JSON object: {"equal", "different", "unsupported", "cases": [{"name", "dtype",
/// "result", "tensors": [{"name", "max_abs", "relative", "ulps", "tolerance", "ok"}]}]}.
std::string to_json(const std::vector<CaseReport>& reports);

}  // namespace tessera::beit3
