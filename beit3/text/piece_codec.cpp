#include "beit3/text/piece_codec.h"

#include <cmath>

#include "beit3/text/bpe.h"
#include "beit3/text/utf8.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

constexpr std::string_view kReplacementText = "\xEF\xBF\xBD";

/// "<0x41>" for 65.
std::string byte_piece(unsigned char byte) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
}

/// The byte that a piece text such as "<0x41>" stands for, or -1.
int byte_of_piece(std::string_view text) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  const int high = digit(text[3]), low = digit(text[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

std::vector<std::string> user_symbols(const SentencePieceModel& model) {
  std::vector<std::string> symbols;
  for (const Piece& piece : model.pieces) {
    if (piece.type == PieceType::kUserDefined) symbols.push_back(piece.text);
  }
  return symbols;
}

/// Words begin at every space mark.
void segment_words(std::string_view text, const PieceCodec& codec, std::vector<Segment>& out) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t mark = text.find(kSpaceMark, begin + 1);
    const size_t end = mark == std::string_view::npos ? text.size() : mark;
    out.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end),
                   codec.piece_id(text.substr(begin, end - begin))});
    begin = end;
  }
}

void append_with_spaces(std::string& out, std::string_view piece) {
  while (!piece.empty()) {
    const size_t mark = piece.find(kSpaceMark);
    out += piece.substr(0, mark);
    if (mark == std::string_view::npos) return;
    out += ' ';
    piece.remove_prefix(mark + kSpaceMark.size());
  }
}

void append_decoded_bytes(std::string& out, std::string& bytes) {
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const Utf8Character c = decode_utf8(rest);
    out += c.well_formed ? rest.substr(0, c.bytes) : kReplacementText;
    rest.remove_prefix(c.bytes);
  }
  bytes.clear();
}

}  // namespace

PieceCodec::PieceCodec(SentencePieceModel model, std::string_view name)
    : model_(std::move(model)), name_(name) {
  index_pieces();
  const TrainerSpec& trainer = model_.trainer;
  normalizer_ = Normalizer(model_.normalizer, user_symbols(model_),
                           trainer.treat_whitespace_as_suffix, name_);
  if (model_.denormalizer && !model_.denormalizer->charsmap.empty()) {
    denormalizer_.emplace(*model_.denormalizer, std::vector<std::string>{}, false, name_);
  }
  if (trainer.model_type == PieceModelType::kUnigram) {
    check<IoError>(!normal_.empty(), "load_model: \"{}\" has no ordinary pieces", name_);
    unigram_ = std::make_unique<UnigramSegmenter>(model_, unknown_id_);
  } else if (trainer.model_type != PieceModelType::kWord) {
    bpe_ = std::make_unique<BpeSegmenter>(model_, unknown_id_,
                                          trainer.model_type == PieceModelType::kBpe);
  }
  run_self_test();
}

PieceCodec::~PieceCodec() = default;

void PieceCodec::index_pieces() {
  const bool byte_fallback = model_.trainer.byte_fallback;
  for (int32_t& id : byte_ids_) id = kAbsent;
  reserved_.reserve(512);
  normal_.reserve(model_.pieces.size());
  for (size_t i = 0; i < model_.pieces.size(); ++i) {
    const Piece& piece = model_.pieces[i];
    const auto id = static_cast<int32_t>(i);
    check<IoError>(!piece.text.empty(), "load_model: piece {} of \"{}\" is empty", i, name_);
    const auto [at, is_new] = (is_reserved(piece.type) ? reserved_ : normal_)
                                  .try_emplace(std::string_view(piece.text), id);
    check<IoError>(is_new, "load_model: pieces {} and {} of \"{}\" are both \"{}\"", at->second, i,
                   name_, piece.text);
    if (piece.type == PieceType::kUnknown) {
      check<IoError>(unknown_id_ == kAbsent,
                     "load_model: \"{}\" has two UNKNOWN pieces, {} and {}; exactly one must exist",
                     name_, unknown_id_, i);
      unknown_id_ = id;
    } else if (piece.type == PieceType::kByte) {
      check<IoError>(byte_fallback,
                     "load_model: piece {} of \"{}\" is a BYTE piece, but byte_fallback is off", i,
                     name_);
      const int byte = byte_of_piece(piece.text);
      check<IoError>(byte >= 0,
                     "load_model: BYTE piece {} of \"{}\" is \"{}\"; expected \"<0xHH>\" with "
                     "upper-case digits",
                     i, name_, piece.text);
      byte_ids_[byte] = id;
    }
  }
  check<IoError>(unknown_id_ != kAbsent,
                 "load_model: \"{}\" has no UNKNOWN piece among its {}; is it a SentencePiece "
                 ".model file?",
                 name_, model_.pieces.size());
  if (!byte_fallback) return;
  for (int byte = 0; byte < 256; ++byte) {
    check<IoError>(byte_ids_[byte] != kAbsent,
                   "load_model: \"{}\" uses byte_fallback but lacks the BYTE piece \"{}\"", name_,
                   byte_piece(static_cast<unsigned char>(byte)));
  }
}

void PieceCodec::run_self_test() const {
  const auto total_score = [&](std::string_view joined) {
    float sum = 0;
    while (!joined.empty()) {
      const size_t space = joined.find(' ');
      const std::string_view piece = joined.substr(0, space);
      const int32_t id = piece_id(piece);
      sum +=
          id == unknown_id_ ? unigram_->unknown_score() : static_cast<float>(unigram_->score(id));
      joined.remove_prefix(space == std::string_view::npos ? joined.size() : space + 1);
    }
    return sum;
  };
  for (size_t i = 0; i < model_.self_test.size(); ++i) {
    const SelfTestSample& sample = model_.self_test[i];
    std::string joined;
    for (const PieceToken& token : encode_tokens(sample.input)) {
      if (!joined.empty()) joined += ' ';
      joined += token.text;
    }
    if (joined == sample.expected) continue;
    const bool tie =
        unigram_ && std::fabs(total_score(joined) - total_score(sample.expected)) <= 1e-7f;
    check<IoError>(tie,
                   "load_model: self test {} of \"{}\" fails: \"{}\" becomes \"{}\", but the file "
                   "expects \"{}\"; the file is damaged, or was made by an incompatible version",
                   i, name_, sample.input, joined, sample.expected);
  }
}

int32_t PieceCodec::piece_id(std::string_view text) const {
  if (const auto at = reserved_.find(text); at != reserved_.end()) return at->second;
  if (const auto at = normal_.find(text); at != normal_.end()) return at->second;
  return unknown_id_;
}

const Piece& PieceCodec::piece(int64_t id) const {
  check<IndexError>(id >= 0 && id < piece_count(), "piece: id {} is not in [0, {})", id,
                    piece_count());
  return model_.pieces[static_cast<size_t>(id)];
}

int32_t PieceCodec::special_id(std::string_view text, std::string_view fallback,
                               bool unknown) const {
  const int32_t id = piece_id(text.empty() ? fallback : text);
  const PieceType type = model_.pieces[static_cast<size_t>(id)].type;
  return type == (unknown ? PieceType::kUnknown : PieceType::kControl) ? id : kAbsent;
}

void PieceCodec::segment(std::string_view normalized, std::vector<Segment>& out) const {
  if (unigram_) {
    unigram_->segment(normalized, out);
  } else if (bpe_) {
    bpe_->segment(normalized, out);
  } else {
    segment_words(normalized, *this, out);
  }
}

template <class Emit>
void PieceCodec::for_each_token(std::string_view normalized, std::span<const Segment> segments,
                                Emit&& emit) const {
  bool previous_unknown = false;
  for (const Segment& s : segments) {
    const bool unknown = s.id == unknown_id_;
    const std::string_view text = normalized.substr(s.begin, s.end - s.begin);
    if (unknown && model_.trainer.byte_fallback) {
      for (uint32_t i = s.begin; i < s.end; ++i) {
        const int32_t id = byte_ids_[static_cast<unsigned char>(normalized[i])];
        const bool last = i + 1 == s.end;
        emit(std::string_view(model_.pieces[static_cast<size_t>(id)].text), id, s.begin,
             last ? s.end : s.begin, false);
      }
    } else {
      emit(text, s.id, s.begin, s.end, unknown && previous_unknown);
    }
    previous_unknown = unknown;
  }
}

std::vector<int32_t> PieceCodec::encode(std::string_view text) const {
  const std::string normalized = normalizer_.normalize_text(text);
  std::vector<Segment> segments;
  segment(normalized, segments);
  std::vector<int32_t> ids;
  ids.reserve(segments.size());
  for_each_token(normalized, segments,
                 [&](std::string_view, int32_t id, uint32_t, uint32_t, bool joins) {
                   if (!joins) ids.push_back(id);
                 });
  return ids;
}

std::vector<PieceToken> PieceCodec::encode_tokens(std::string_view text) const {
  const NormalizedText normalized = normalizer_.normalize(text);
  std::vector<Segment> segments;
  segment(normalized.text, segments);
  return tokens_of(normalized, segments);
}

std::vector<PieceToken> PieceCodec::tokens_of(const NormalizedText& normalized,
                                              std::span<const Segment> segments) const {
  std::vector<PieceToken> tokens;
  tokens.reserve(segments.size());
  for_each_token(normalized.text, segments,
                 [&](std::string_view piece, int32_t id, uint32_t begin, uint32_t end, bool joins) {
                   const int64_t from = normalized.origin[begin], to = normalized.origin[end];
                   if (joins) {
                     tokens.back().text += piece;
                     tokens.back().end = to;
                   } else {
                     tokens.push_back({std::string(piece), id, from, to});
                   }
                 });
  return tokens;
}

std::string PieceCodec::decode(std::span<const int32_t> ids) const {
  std::vector<std::string> pieces;
  pieces.reserve(ids.size());
  for (const int32_t id : ids) pieces.push_back(piece(id).text);
  return decode_pieces(pieces);
}

std::string PieceCodec::decode_pieces(std::span<const std::string> pieces) const {
  const NormalizerSpec& spec = model_.normalizer;
  const TrainerSpec& trainer = model_.trainer;
  const std::string& unknown_text = model_.pieces[static_cast<size_t>(unknown_id_)].text;
  std::string text, bytes;
  // A space mark is dropped at the start of the text; `consumed` says that one was, and that the
  // text counts as begun although it is still empty.
  bool at_start = true, consumed = false;
  for (const std::string& piece : pieces) {
    const int32_t id = piece_id(piece);
    const PieceType type = model_.pieces[static_cast<size_t>(id)].type;
    if (type == PieceType::kByte) {
      bytes += static_cast<char>(byte_of_piece(piece));
      continue;
    }
    append_decoded_bytes(text, bytes);
    if (consumed || !text.empty()) at_start = false;
    consumed = false;
    if (type == PieceType::kControl) continue;
    if (type == PieceType::kUnknown) {
      text += piece == unknown_text ? trainer.unk_surface : piece;
      continue;
    }
    std::string_view rest = piece;
    if (at_start && (spec.add_dummy_prefix || spec.remove_extra_whitespaces) &&
        rest.starts_with(kSpaceMark)) {
      rest.remove_prefix(kSpaceMark.size());
      consumed = !spec.remove_extra_whitespaces;
    }
    append_with_spaces(text, rest);
  }
  append_decoded_bytes(text, bytes);
  return denormalizer_ ? denormalizer_->normalize_text(text) : text;
}

}  // namespace tessera::beit3
