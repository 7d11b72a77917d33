// The description inside a sound archive of torch.save: checksums would keep a fuzzer out of it.
#include "nn/io/pth.h"
#include "tensor/ops/reduce.h"
#include "tests/fuzz/fuzzing.h"
#include "tests/testing/stored_zip.h"

using namespace tessera;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  const fuzzing::MemoryFile file(
      testing::stored_zip({{"a/data.pkl", std::string(fuzzing::text_of(data, size_bytes))},
                           {"a/data/0", std::string(24, '\1')},
                           {"a/data/1", std::string(8, '\0')}}));
  fuzzing::reads_or_refuses(file.path(), [&] {
    for (const auto& [path, tensor] : nn::load_pth(file.path()).tensors) {
      sum(tensor.to(DType::f64));  // reads every element that it claims to have
    }
  });
  return 0;
}
