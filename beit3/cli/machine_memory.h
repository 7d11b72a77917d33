#pragma once

#include <string>

#include "beit3/model/config.h"

namespace tessera::beit3::cli {

/// The most that this process can get, in bytes: what the system has available, and no more than
/// its control group allows. 0: unknown.
double available_memory();

/// One line for people: what is available, of how much, and the limit of the control group.
std::string memory_text();

/// Throws UsageError, with both figures, if training a model of these sizes surely takes more than
/// there is: its weights, and their gradients and two moments. `share` of the
/// parameters is reached by a batch: one modality alone leaves the experts of the other.
void check_training_fits(const ModelConfig& config, double share);

}  // namespace tessera::beit3::cli
