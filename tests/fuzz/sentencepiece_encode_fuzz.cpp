// Any bytes as text, for models of several kinds.
#include <memory>

#include "beit3/text/segmentations.h"
#include "beit3/text/tokenizer.h"
#include "tests/fuzz/fuzzing.h"

using namespace tessera;
using namespace tessera::beit3;

namespace {

constexpr const char* kModels[] = {"uni1k",     "bpe1k",       "bpebyte2k",
                                   "uniuser1k", "unisuffix1k", "unibyte3k"};

std::vector<std::unique_ptr<const PieceCodec>> load_all() {
  std::vector<std::unique_ptr<const PieceCodec>> codecs;
  for (const char* name : kModels) {
    codecs.push_back(std::make_unique<const PieceCodec>(
        load_model(std::string("data/tokenizer/") + name + ".model"), name));
  }
  return codecs;
}

void encode(const PieceCodec& codec, std::string_view text) {
  const std::vector<int32_t> ids = codec.encode(text);
  const std::vector<PieceToken> tokens = codec.encode_tokens(text);
  fuzzing::require(ids.size() == tokens.size(), "ids and tokens agree");
  int64_t at = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    fuzzing::require(ids[i] == tokens[i].id, "ids and tokens agree");
    fuzzing::require(tokens[i].begin <= tokens[i].end && tokens[i].end >= at &&
                         tokens[i].end <= static_cast<int64_t>(text.size()),
                     "tokens follow each other inside the text");
    at = tokens[i].end;
  }
  codec.decode(ids);
  const Segmentations ways(codec);
  ways.sample(text, {.alpha = 0.3, .among = 0}, RandomKey{7});
  if (codec.unigram() != nullptr) {
    const std::vector<ScoredTokens> best = ways.best(text, 2);
    fuzzing::require(!best.empty(), "there is a best way");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  static const std::vector<std::unique_ptr<const PieceCodec>> codecs = load_all();
  static const Tokenizer tokenizer = Tokenizer::load("data/tokenizer/uniident1k.model");
  const std::string_view text = fuzzing::text_of(data, size_bytes);
  for (const auto& codec : codecs) encode(*codec, text);
  for (const SpecialText mode : {SpecialText::kPlain, SpecialText::kSplit}) {
    tokenizer.decode(tokenizer.encode(text, mode));
  }
  return 0;
}
