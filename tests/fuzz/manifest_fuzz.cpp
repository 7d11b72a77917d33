// Lists of samples: JSON lines, captions with tabs, lines of text. The same bytes as each of them.
#include "beit3/data/manifest_internal.h"
#include "tests/fuzz/fuzzing.h"

using namespace tessera;
using namespace tessera::beit3;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  const fuzzing::MemoryFile file(fuzzing::text_of(data, size_bytes));
  const OpenOptions options{.split = {}, .image_root = {}, .max_records = 1000};
  for (const auto& open : {open_jsonl, open_tsv, open_text_lines}) {
    fuzzing::reads_or_refuses(file.path(), [&] {
      const DataSet set = open(file.path(), options);
      for (int64_t i = 0; i < set.size(); ++i) {
        const Record& record = set.records[static_cast<size_t>(i)];
        fuzzing::require(record.id == i, "records are numbered");
        fuzzing::require(record.has_text() || !record.image_path.empty(),
                         "a record has a text or a picture");
      }
    });
  }
  return 0;
}
