#pragma once

#include "beit3/cli/command.h"

namespace tessera::beit3::cli {

// The larger children of `tok`, a file each.
Command tok_train_command();
Command tok_encode_command();
Command tok_compare_command();

}  // namespace tessera::beit3::cli
