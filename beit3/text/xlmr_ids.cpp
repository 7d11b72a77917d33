#include "beit3/text/xlmr_ids.h"

#include <algorithm>
#include <array>
#include <utility>

#include "beit3/text/utf8.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

constexpr std::string_view kSpecialTokens[] = {"<s>", "<pad>", "</s>", "<unk>"};
constexpr std::string_view kMaskToken = "<mask>";

std::string_view strip_left(std::string_view text) {
  while (!text.empty()) {
    const Utf8Character c = decode_utf8(text);
    if (!c.well_formed || !is_whitespace(c.value)) break;
    text.remove_prefix(c.bytes);
  }
  return text;
}

std::string_view strip_right(std::string_view text) {
  while (!text.empty()) {
    size_t start = text.size() - 1;
    while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    const Utf8Character c = decode_utf8(text.substr(start));
    if (!c.well_formed || start + c.bytes != text.size() || !is_whitespace(c.value)) break;
    text = text.substr(0, start);
  }
  return text;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  std::string out;
  size_t at = 0;
  for (size_t hit; (hit = text.find(from, at)) != std::string::npos; at = hit + from.size()) {
    out.append(text, at, hit - at).append(to);
  }
  if (at == 0) return;
  out.append(text, at, std::string::npos);
  text = std::move(out);
}

}  // namespace

XlmrIds::XlmrIds(const PieceCodec& codec) : codec_(&codec) {
  const bool fits = codec.unk_id() == 0 && codec.bos_id() == 1 && codec.eos_id() == 2 &&
                    codec.piece(1).text == kSpecialTokens[kBos] &&
                    codec.piece(2).text == kSpecialTokens[kEos];
  check<IoError>(fits,
                 "tokenizer: the XLM-R numbering needs the unknown piece, <s> and </s> as pieces "
                 "0, 1 and 2, but \"{}\" has them at {}, {} and {}; train it with unk_id 0, "
                 "bos_id 1, eos_id 2",
                 codec.name(), codec.unk_id(), codec.bos_id(), codec.eos_id());
  id_of_piece_.reserve(static_cast<size_t>(codec.piece_count()));
  for (int64_t j = 0; j < codec.piece_count(); ++j) {
    // Names go before numbers: a piece spelled like a special token is that token.
    const std::string& text = codec.piece(j).text;
    const auto* const special =
        std::find(std::begin(kSpecialTokens), std::end(kSpecialTokens), text);
    id_of_piece_.push_back(special != std::end(kSpecialTokens) ? special - kSpecialTokens
                           : text == kMaskToken                ? mask_id()
                           : j == 0                            ? kUnknown
                                                               : j + 1);
  }
}

template <class Text, class Special>
void XlmrIds::for_each_part(std::string_view text, SpecialText mode, Text&& on_text,
                            Special&& on_special) const {
  size_t part = 0;
  size_t at = mode == SpecialText::kPlain ? std::string_view::npos : text.find('<');
  for (; at != std::string_view::npos; at = text.find('<', at)) {
    const std::string_view rest = text.substr(at);
    int64_t special = rest.starts_with(kMaskToken) ? mask_id() : -1;
    for (int64_t i = 0; i < 4; ++i) {
      if (rest.starts_with(kSpecialTokens[i])) special = i;
    }
    if (special < 0) {
      ++at;
      continue;
    }
    const std::string_view before = text.substr(part, at - part);
    on_text(special == mask_id() ? strip_right(before) : before);
    on_special(special);
    at += token(special).size();
    part = at;
  }
  on_text(text.substr(part));
}

std::vector<int64_t> XlmrIds::encode(std::string_view text, SpecialText mode) const {
  std::vector<int64_t> ids;
  for_each_part(
      text, mode,
      [&](std::string_view part) {
        for (const int32_t id : codec_->encode(part)) {
          ids.push_back(id_of_piece_[static_cast<size_t>(id)]);
        }
      },
      [&](int64_t special) { ids.push_back(special); });
  return ids;
}

std::vector<std::string> XlmrIds::tokens(std::string_view text, SpecialText mode) const {
  std::vector<std::string> tokens;
  for_each_part(
      text, mode,
      [&](std::string_view part) {
        for (PieceToken& piece : codec_->encode_tokens(part)) {
          tokens.push_back(std::move(piece.text));
        }
      },
      [&](int64_t special) { tokens.emplace_back(token(special)); });
  return tokens;
}

int64_t XlmrIds::id_of_piece(int32_t piece) const {
  check<IndexError>(piece >= 0 && piece < codec_->piece_count(),
                    "id_of_piece: piece {} is not in [0, {})", piece, codec_->piece_count());
  return id_of_piece_[static_cast<size_t>(piece)];
}

std::string_view XlmrIds::token(int64_t id) const {
  check<IndexError>(id >= 0 && id < vocab_size(), "decode: id {} is not in [0, {})", id,
                    vocab_size());
  if (id <= kUnknown) return kSpecialTokens[id];
  if (id == mask_id()) return kMaskToken;
  return codec_->piece(id - 1).text;
}

std::string XlmrIds::decode(std::span<const int64_t> ids, IdsToTextOptions options) const {
  std::string text;
  for (const int64_t id : ids) {
    const std::string_view piece = token(id);
    if (!options.skip_special || !is_special(id)) text += piece;
  }
  replace_all(text, kSpaceMark, " ");
  text = std::string(strip_left(strip_right(text)));
  if (options.clean_up) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kCleanUps = {
        {{" .", "."},
         {" ?", "?"},
         {" !", "!"},
         {" ,", ","},
         {" ' ", "'"},
         {" n't", "n't"},
         {" 'm", "'m"},
         {" 's", "'s"},
         {" 've", "'ve"},
         {" 're", "'re"}}};
    for (const auto& [from, to] : kCleanUps) replace_all(text, from, to);
  }
  return text;
}

PackedText pack_text(std::span<const int64_t> content, int64_t max_len) {
  check<ValueError>(max_len >= 3,
                    "pack_text: max_len is {}, but needs room for <s>, a token and "
                    "</s>",
                    max_len);
  check<ValueError>(!content.empty(), "pack_text: the text has no tokens; drop blank texts");
  const auto kept = std::min(content.size(), static_cast<size_t>(max_len - 2));
  PackedText row;
  row.num_tokens = static_cast<int64_t>(kept) + 2;
  row.tokens.assign(static_cast<size_t>(max_len), XlmrIds::kPad);
  row.padding_mask.assign(static_cast<size_t>(max_len), 1);
  row.tokens[0] = XlmrIds::kBos;
  std::copy_n(content.begin(), kept, row.tokens.begin() + 1);
  row.tokens[kept + 1] = XlmrIds::kEos;
  std::fill_n(row.padding_mask.begin(), row.num_tokens, uint8_t{0});
  return row;
}

}  // namespace tessera::beit3
