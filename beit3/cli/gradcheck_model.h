#pragma once

#include <functional>
#include <string>
#include <vector>

#include "beit3/model/config.h"

namespace tessera::beit3::cli {

struct ModelCheckOptions {
  ModelConfig model;
  std::string module;      ///< only parameters whose name holds this; empty: all
  int64_t elements = 3;    ///< of each parameter, chosen at random
  int64_t directions = 1;  ///< through all elements of a parameter at once
  uint64_t seed = 1;
};

/// What the differences say of one published parameter.
struct ParameterCheck {
  std::string name;
  int64_t cases = 0;
  double worst = 0;   ///< largest |analytic - numeric| / tolerance; right if at most 1
  std::string where;  ///< of the worst: the published name with its place, or a direction
  double analytic = 0, numeric = 0, tolerance = 0;

  bool ok() const { return worst <= 1; }
};

/// The smallest BEiT-3 of a form that has every part of the large ones: two layers, two heads, all
/// experts; in the paper's form VL in the second layer.
ModelConfig smallest_model(Form form);

/// Differentiates the pretraining loss of an image, a pair and a text, with drop path, by every
/// parameter, in f64, and compares with
///
///   (8 (L(h) - L(-h)) - (L(2h) - L(-2h))) / (12 h)
///
/// along single elements and along random directions of length 1. The tolerance is that of
/// `gradcheck` (autograd/gradcheck.h). `done(i, n)` is told of progress.
/// Throws ValueError if no parameter's name holds `module`.
std::vector<ParameterCheck> check_model(const ModelCheckOptions& options,
                                        const std::function<void(int64_t, int64_t)>& done);

}  // namespace tessera::beit3::cli
