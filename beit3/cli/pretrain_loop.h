#pragma once

#include "beit3/pretrain/run_folder.h"
#include "beit3/pretrain/trainer.h"

namespace tessera::beit3::cli {

/// Trains until the recipe's last step, writing metrics, checkpoints, evaluations and sheets into
/// the folder. Ctrl-C and SIGTERM end it after a step, saved.
///
/// max_steps  stop, saved, after so many steps of this call; 0: no limit
/// returns    kDone or kInterrupted
int pretrain_loop(PretrainTrainer& trainer, const RunFolder& folder, int64_t max_steps);

}  // namespace tessera::beit3::cli
