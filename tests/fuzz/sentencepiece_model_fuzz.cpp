// SentencePiece models: what can be loaded can encode and decode any text.
#include "beit3/text/segmentations.h"
#include "tests/fuzz/fuzzing.h"

using namespace tessera;
using namespace tessera::beit3;

namespace {

void use(const PieceCodec& codec, std::string_view text) {
  const std::vector<int32_t> ids = codec.encode(text);
  const std::vector<PieceToken> tokens = codec.encode_tokens(text);
  fuzzing::require(ids.size() == tokens.size(), "ids and tokens agree");
  for (size_t i = 0; i < ids.size(); ++i) {
    fuzzing::require(ids[i] == tokens[i].id, "ids and tokens agree");
    fuzzing::require(
        tokens[i].begin <= tokens[i].end && tokens[i].end <= static_cast<int64_t>(text.size()),
        "positions lie inside the text");
  }
  codec.decode(ids);
  if (codec.unigram() == nullptr && codec.bpe() == nullptr) return;
  if (codec.model().trainer.model_type == PieceModelType::kChar) return;
  const Segmentations ways(codec);
  ways.sample(text, {.alpha = 0.5, .among = 0}, RandomKey{1});
  if (codec.unigram() != nullptr) ways.best(text, 3);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  const std::string_view bytes = fuzzing::text_of(data, size_bytes);
  fuzzing::reads_or_refuses("the model", [&] {
    const PieceCodec codec(parse_model(bytes, "the model"), "the model");
    for (const std::string_view text :
         {std::string_view(), std::string_view("  a red\tcircle \xE2\x96\x81\xC3\xA9\xFF "),
          bytes.substr(0, 256)}) {
      use(codec, text);
    }
  });
  return 0;
}
