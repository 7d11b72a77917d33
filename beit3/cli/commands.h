#pragma once

#include "beit3/cli/command.h"

namespace tessera::beit3::cli {

// One function a file: command_data.cpp makes `data`, and so on.
Command data_command();
Command tok_command();
Command vq_command();
Command pretrain_command();
Command resume_command();
Command eval_command();
Command fill_command();
Command inspect_command();
Command gradcheck_command();
Command parity_command();
Command verify_command();
Command config_command();
Command bench_command();
Command doctor_command();

/// All of the above, and `help`.
Command program();

}  // namespace tessera::beit3::cli
