// Files of named tensors.
#include "nn/io/safetensors.h"
#include "nn/io/safetensors_header_internal.h"
#include "tests/fuzz/fuzzing.h"

using namespace tessera;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  const fuzzing::MemoryFile file(fuzzing::text_of(data, size_bytes));
  fuzzing::reads_or_refuses(file.path(), [&] {
    const nn::SafetensorsReader reader(file.path());
    size_t data_bytes = 0;
    for (const nn::SafetensorsEntry& entry : reader.entries()) {
      const Tensor x = reader.load(entry);
      fuzzing::require(x.shape() == entry.shape && x.dtype() == entry.dtype,
                       "tensors as described");
      data_bytes += x.bytes();
    }
    // What was read can be written and read again.
    const nn::detail::SafetensorsHeader again = nn::detail::parse_safetensors_header(
        nn::detail::write_safetensors_header(reader.entries(), reader.metadata()), data_bytes,
        "again");
    fuzzing::require(
        again.metadata == reader.metadata() && again.entries.size() == reader.entries().size(),
        "a header survives being written");
    for (size_t i = 0; i < again.entries.size(); ++i) {
      fuzzing::require(again.entries[i].name == reader.entries()[i].name, "names in their order");
    }
  });
  return 0;
}
