#pragma once

#include "tensor/base/dtype.h"

namespace tessera {

/// The distance from 1 to the next number; 0 for dtypes without fractions.
inline double epsilon_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 0x1p-52;
    case DType::f32:
      return 0x1p-23;
    case DType::f16:
      return 0x1p-10;
    case DType::bf16:
      return 0x1p-7;
    default:
      return 0;
  }
}

}  // namespace tessera
