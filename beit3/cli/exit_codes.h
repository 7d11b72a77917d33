#pragma once

#include "tensor/base/error.h"

namespace tessera::beit3::cli {

/// What the program ends with. Scripts rely on these; `beit3 help exit-codes` lists them.
enum ExitCode : int {
  kDone = 0,
  kDifference = 1,    ///< a check was carried out and failed
  kUsage = 2,         ///< a flag, command or configuration value that is none
  kBadInput = 3,      ///< a file that cannot be read or written, or that holds something malformed
  kCollapse = 8,      ///< an image tokenizer that uses only a few of its codes
  kInterrupted = 75,  ///< stopped by Ctrl-C or SIGTERM after saving; it can go on
};

/// The command line makes no sense: ends the program with kUsage.
class UsageError : public Error {
  using Error::Error;
};

}  // namespace tessera::beit3::cli
