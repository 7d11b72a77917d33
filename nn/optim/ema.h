#pragma once

#include "nn/state_dict.h"

namespace tessera::nn {

/// A moving average of everything a module publishes, buffers included:
/// a = decay a + (1 - decay) w. Integer state is copied. AdamW can keep the average of parameters
/// in its own pass (AdamWSettings::average_decay); this one works beside any optimizer.
class Ema {
 public:
  /// Starts with the module's values. ValueError unless decay is in [0, 1).
  Ema(const Module& module, double decay);

  /// To be called after each optimizer step. StateError if the module's names changed.
  void update(const Module& module);
  /// Writes the average into a module of the same names.
  void copy_to(Module& module) const;

  double decay() const { return decay_; }
  const StateDict& state() const { return average_; }
  /// Takes over a saved average; strict.
  void load(const StateDict& state);

 private:
  double decay_;
  StateDict average_;
};

}  // namespace tessera::nn
