#pragma once

#include <string>

#include "beit3/model/config.h"

namespace tessera::beit3::cli {

/// One line for people: what is available, of how much, and the limit of the control group.
std::string memory_text();

/// Throws UsageError, with both figures, if training a model of these sizes surely takes more than
/// there is: its weights, and the gradients and two moments of those that batches reach. One
/// modality alone leaves the experts of the other.
void check_training_fits(const ModelConfig& config, bool one_modality);

}  // namespace tessera::beit3::cli
