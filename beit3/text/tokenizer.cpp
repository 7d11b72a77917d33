#include "beit3/text/tokenizer.h"

#include <bit>

#include <xxhash.h>

#include "beit3/text/piece_codec.h"
#include "beit3/text/utf8.h"

namespace tessera::beit3 {
namespace {

void put(std::string& out, uint64_t value) {
  for (int i = 0; i < 8; ++i) out += static_cast<char>(value >> (8 * i));
}

void put(std::string& out, std::string_view text) {
  put(out, static_cast<uint64_t>(text.size()));  // so that neighbours cannot run together
  out += text;
}

void put(std::string& out, const NormalizerSpec& spec) {
  put(out, spec.charsmap);
  put(out, static_cast<uint64_t>(spec.add_dummy_prefix | spec.remove_extra_whitespaces << 1 |
                                 spec.escape_whitespaces << 2));
}

uint64_t content_hash(const SentencePieceModel& model) {
  std::string content;
  put(content, static_cast<uint64_t>(model.pieces.size()));
  for (const Piece& piece : model.pieces) {
    put(content, piece.text);
    put(content, static_cast<uint64_t>(std::bit_cast<uint32_t>(piece.score)) << 32 |
                     static_cast<uint32_t>(piece.type));
  }
  const TrainerSpec& t = model.trainer;
  put(content, static_cast<uint64_t>(t.model_type));
  put(content, static_cast<uint64_t>(t.byte_fallback | t.treat_whitespace_as_suffix << 1));
  for (const std::string* text :
       {&t.unk_surface, &t.unk_piece, &t.bos_piece, &t.eos_piece, &t.pad_piece}) {
    put(content, *text);
  }
  put(content, model.normalizer);
  // A denormaliser without a table does nothing.
  if (model.denormalizer && !model.denormalizer->charsmap.empty()) {
    put(content, *model.denormalizer);
  }
  return XXH64(content.data(), content.size(), 0);
}

}  // namespace

struct Tokenizer::State {
  State(SentencePieceModel model, std::string_view name)
      : codec(std::move(model), name), ids(codec), hash(content_hash(codec.model())) {}

  PieceCodec codec;
  XlmrIds ids;
  uint64_t hash;
};

Tokenizer Tokenizer::load(const std::string& path) { return Tokenizer(load_model(path), path); }

Tokenizer::Tokenizer(SentencePieceModel model, std::string_view name)
    : state_(std::make_shared<const State>(std::move(model), name)) {}

std::vector<int64_t> Tokenizer::encode(std::string_view text, SpecialText mode) const {
  return state_->ids.encode(text, mode);
}

std::string Tokenizer::decode(std::span<const int64_t> ids, IdsToTextOptions options) const {
  return state_->ids.decode(ids, options);
}

std::string_view Tokenizer::piece(int64_t id) const { return state_->ids.token(id); }

bool Tokenizer::starts_word(int64_t id) const {
  return !is_special(id) && piece(id).starts_with(kSpaceMark);
}

bool Tokenizer::is_special(int64_t id) const { return state_->ids.is_special(id); }
int64_t Tokenizer::mask_id() const { return state_->ids.mask_id(); }
int64_t Tokenizer::vocab_size() const { return state_->ids.vocab_size(); }
uint64_t Tokenizer::hash() const { return state_->hash; }
const PieceCodec& Tokenizer::codec() const { return state_->codec; }
const SentencePieceModel& Tokenizer::model() const { return state_->codec.model(); }

}  // namespace tessera::beit3
