#pragma once

#include <span>

#include "tensor/base/backend_types.h"

namespace tessera {

/// Dense products of f32 or f64 by OpenBLAS. The same bits for any number of threads; a row may
/// differ in its last bits with the place where it stands.
void openblas_products(std::span<const Product> products);

}  // namespace tessera
