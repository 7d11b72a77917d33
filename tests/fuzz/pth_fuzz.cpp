// Archives of torch.save as they come.
#include "nn/io/pth.h"
#include "tests/fuzz/fuzzing.h"

using namespace tessera;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  const fuzzing::MemoryFile file(fuzzing::text_of(data, size_bytes));
  fuzzing::reads_or_refuses(file.path(), [&] { nn::load_pth(file.path()); });
  return 0;
}
