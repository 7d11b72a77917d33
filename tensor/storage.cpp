#include "tensor/storage.h"

#include "backends/registry.h"

namespace tessera {

Storage::Storage(size_t bytes, const Device& device)
    : device_(device),
      backend_(tessera::backend(device)),
      bytes_(bytes),
      data_(backend_.allocate(bytes)) {}

Storage::~Storage() { backend_.free(data_); }

}  // namespace tessera
