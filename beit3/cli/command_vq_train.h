#pragma once

#include "beit3/cli/command.h"

namespace tessera::beit3::cli {

Command vq_train_command();

}  // namespace tessera::beit3::cli
