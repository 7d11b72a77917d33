#pragma once

#include "nn/module.h"

namespace tessera::nn {

/// How a state that is loaded differs from what it is loaded into.
struct LoadReport {
  struct WrongShape {
    std::string name;
    Shape expected, got;
  };
  struct OtherDType {
    std::string name;
    DType expected, got;
  };
  std::string what = "load_state";      ///< who loaded, for the text
  size_t expected_names = 0;            ///< how many the target has
  std::vector<std::string> loaded;      ///< names whose elements were taken
  std::vector<std::string> missing;     ///< the target has them, the state has not
  std::vector<std::string> unexpected;  ///< the state has them, the target has not
  std::vector<WrongShape> wrong_shape;  ///< not loaded
  std::vector<OtherDType> wrong_dtype;  ///< integers for floats or the reverse: not loaded
  std::vector<OtherDType> converted;    ///< loaded, rounded to the target's dtype

  /// Every name found its tensor (converted or not), and nothing was left over.
  bool complete() const {
    return missing.empty() && unexpected.empty() && wrong_shape.empty() && wrong_dtype.empty();
  }
};

/// One line a kind of difference; at most `max_names` names each, then how many more there are.
std::string to_string(const LoadReport& report, size_t max_names = 20);

struct LoadOptions {
  bool strict = true;         ///< throw unless the report is complete
  bool convert_dtype = true;  ///< between floating dtypes; off, another dtype counts as wrong
};

/// Copies tensors into a module by name; dtype and device stay those of the module.
///
/// Everything is compared before anything is copied: if it throws, nothing changed. Not strict,
/// what fits is loaded and the rest is in the report. Throws StateError with the report's text.
LoadReport load_state(Module& module, const StateDict& state, const LoadOptions& options = {});

/// The same into loose tensors: optimizer states, moving averages. `what` opens the report's text.
LoadReport load_state(const StateDict& target, const StateDict& state, std::string_view what,
                      const LoadOptions& options = {});

/// Copies that no longer follow the module.
StateDict clone(const StateDict& state);

/// The entries whose names begin with `prefix`, without it.
StateDict without_prefix(const StateDict& state, std::string_view prefix);
/// All entries with `prefix` before their names.
StateDict with_prefix(const StateDict& state, std::string_view prefix);

}  // namespace tessera::nn
