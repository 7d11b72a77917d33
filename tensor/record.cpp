#include "tensor/record.h"

namespace tessera {

void detail::record_with_first_tracked(OpRecord record) {
  AutogradMeta* meta = nullptr;
  for (const Tensor& input : record.inputs) {
    if (input.defined() && (meta = input.meta()) != nullptr) break;
  }
  if (meta != nullptr) meta->record(std::move(record));
}

}  // namespace tessera
