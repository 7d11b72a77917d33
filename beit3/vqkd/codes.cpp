#include "beit3/vqkd/codes.h"

#include <algorithm>

#include "beit3/vqkd/file_internal.h"
#include "tensor/ops/creation.h"

namespace tessera::beit3 {
namespace {

constexpr std::string_view kCodesKind = "tessera-vqkd-codes";

}  // namespace

CodeTable encode_all(const Vqkd& vq, int64_t count,
                     const std::function<Tensor(int64_t begin, int64_t end)>& pictures,
                     std::string data, int64_t batch) {
  check<ValueError>(count >= 0 && batch > 0, "encode_all: {} pictures by {}", count, batch);
  CodeTable table{.pictures = count,
                  .patches = vq.config().patches(),
                  .codes = vq.config().codes,
                  .tokenizer = content_hash(vq),
                  .data = std::move(data)};
  for (int64_t begin = 0; begin < count; begin += batch) {
    const int64_t end = std::min(count, begin + batch);
    const std::vector<int32_t> ids = vq.encode(pictures(begin, end)).to_vector<int32_t>();
    check<ShapeError>(static_cast<int64_t>(ids.size()) == (end - begin) * table.patches,
                      "encode_all: pictures {} … {} gave {} codes, expected {} each", begin,
                      end - 1, ids.size(), table.patches);
    table.ids.insert(table.ids.end(), ids.begin(), ids.end());
  }
  return table;
}

void save_codes(const std::string& path, const CodeTable& table) {
  nn::save_safetensors(path, {{"codes", from_data(table.ids, {table.pictures, table.patches})}},
                       {{"kind", std::string(kCodesKind)},
                        {"tokenizer", hex_digits(table.tokenizer)},
                        {"codes", std::to_string(table.codes)},
                        {"data", table.data}});
}

CodeTable load_codes(const std::string& path, const Vqkd& vq) {
  const nn::SafetensorsReader file(path);
  const auto kind = file.metadata().find("kind");
  check<IoError>(
      kind != file.metadata().end() && kind->second == kCodesKind && file.contains("codes"),
      "{} holds no codes of pictures", path);
  const std::string maker = detail::metadata_field(file.metadata(), "tokenizer", path);
  CodeTable table{.patches = vq.config().patches(),
                  .codes = vq.config().codes,
                  .tokenizer = content_hash(vq),
                  .data = detail::metadata_field(file.metadata(), "data", path)};
  check<StateError>(maker == hex_digits(table.tokenizer),
                    "{}: the codes were made by image tokenizer {}, but this one is {}; encode the "
                    "pictures again",
                    path, maker, hex_digits(table.tokenizer));
  const Tensor codes = file.load("codes");
  check<IoError>(codes.dtype() == DType::i32 && codes.rank() == 2 && codes.size(1) == table.patches,
                 "{}: \"codes\" is {} {}, expected i32 (pictures, {})", path, codes.dtype(),
                 codes.shape(), table.patches);
  table.pictures = codes.size(0);
  table.ids = codes.to_vector<int32_t>();
  for (int32_t id : table.ids) {
    check<IoError>(id >= 0 && id < table.codes, "{}: code {} is not in 0 … {}", path, id,
                   table.codes - 1);
  }
  return table;
}

}  // namespace tessera::beit3
