// Recipes in TOML.
#include "beit3/pretrain/run_folder.h"
#include "tests/fuzz/fuzzing.h"

using namespace tessera;
using namespace tessera::beit3;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  const fuzzing::MemoryFile file(fuzzing::text_of(data, size_bytes));
  fuzzing::reads_or_refuses<ValueError>(file.path(), [&] {
    const PretrainRecipe recipe = read_recipe(file.path());
    const fuzzing::MemoryFile written(to_toml(recipe));
    fuzzing::require(field_values(read_recipe(written.path())) == field_values(recipe),
                     "a recipe survives being written");
  });
  return 0;
}
