#pragma once

#include "nn/module.h"

namespace tessera::nn {

/// Parameters that share how they are optimised.
struct ParamGroup {
  std::string name;
  NamedParameters parameters;
  double lr_scale = 1;      ///< factor of the learning rate
  double weight_decay = 0;  ///< decoupled
};

/// How names become groups.
struct GroupRules {
  double weight_decay = 0.05;
  /// Exact names without decay, beside those with at most one axis or a name ending in ".bias".
  std::vector<std::string> no_decay = {};
  /// Layer-wise learning rates: the scale is layer_decay^(layers + 1 - id), see `layer_id`.
  /// 1: off. In (0, 1].
  double layer_decay = 1;
  int64_t layers = 0;  ///< number of layers; needed if layer_decay is below 1
  /// Factor for names that begin with `head_prefix`; it counts only while layer_decay is 1.
  double head_lr_scale = 1;
  std::string head_prefix = "head";
};

/// Depth of a parameter, counted from the input: 0 for names that contain "embed", i + 1 for
/// "…layers.i.…" (or "…blocks.i.…"), and layers + 1 for all others, which are nearest to the loss.
/// ValueError if i is not below `layers`.
int64_t layer_id(std::string_view name, int64_t layers);

/// Is the parameter decayed by these rules?
bool is_decayed(const NamedParameter& parameter, const GroupRules& rules);
/// Its learning rate's factor.
double lr_scale(const NamedParameter& parameter, const GroupRules& rules);

/// One group for each combination of decay and scale that occurs, in order of first occurrence.
/// Parameters that are no leaves with gradients (frozen ones) are left out.
std::vector<ParamGroup> make_param_groups(const NamedParameters& parameters,
                                          const GroupRules& rules = {});

/// Throws StateError, DTypeError, naming `optimizer` and the parameter, unless all are f32 or f64
/// leaves of one dtype, each given once.
void check_parameters(std::string_view optimizer, const std::vector<ParamGroup>& groups);

/// The names that a parameter is published under, one if it is not cut.
std::vector<Field> fields_of(const NamedParameter& parameter);
/// The rows of a state of a parameter, laid out like it, that belong to a field of it.
Tensor rows_of(const Tensor& state, const Field& field);

}  // namespace tessera::nn
