#include "tensor/products.h"

#include "backends/registry.h"

namespace tessera {

bool products_are_row_exact(const Device& device) {
  return device.kind == DeviceKind::cpu && cpu_products_are_row_exact();
}

}  // namespace tessera
