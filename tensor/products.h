#pragma once

#include "tensor/base/device.h"

namespace tessera {

/// Does a row of a product on `device` depend on its inputs alone, to the bit? If so, results for
/// one sample of a batch do not depend on the others, and may be kept and used again in another
/// batch without changing what is computed.
bool products_are_row_exact(const Device& device);

}  // namespace tessera
