#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "nn/module.h"

namespace tessera::beit3 {

/// Is it a weight or bias of a layer norm?
bool belongs_to_norm(std::string_view published_name);

/// A kind of parameters of a model, over all of its layers: "attention A", "feed-forward VL".
struct PartCount {
  std::string part;
  int64_t tensors = 0;     ///< published ones
  int64_t parameters = 0;  ///< their elements
};

/// What a model's parameters are spent on, by their published names, in the order in which a pass
/// meets the parts. Experts count apart, norms together. Works on shapes alone
/// (nn::ParameterOptions::shape_only).
std::vector<PartCount> count_parts(const nn::Module& model);

}  // namespace tessera::beit3
