#include <algorithm>
#include <charconv>
#include <cmath>

#include "beit3/text/recorded_checks_internal.h"
#include "beit3/text/segmentations.h"
#include "beit3/text/vqa_answer.h"
#include "beit3/text/xlmr_ids.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

// Scores are recorded with five decimals; more is only what printing them in f64 loses.
constexpr double kRecordedPrecision = 0.5e-5 * (1 + 1e-9);

std::string shortened(const Json& value) {
  constexpr size_t kMost = 160;
  std::string text = json_text(value);
  if (text.size() <= kMost) return text;
  size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + " ...";
}

/// Compares fields one after another and keeps the first difference.
class FieldCheck {
 public:
  explicit FieldCheck(const Json& recorded) : recorded_(recorded) {}

  bool has(const char* field) const { return recorded_.contains(field); }

  template <class T>
  void equal(const char* field, const T& ours) {
    if (first_.empty()) hold(field, recorded_.at(field), Json(ours));
  }

  void close(const char* field, double ours) {
    if (!first_.empty()) return;
    const Json& recorded = recorded_.at(field);
    if (!(std::fabs(recorded.get<double>() - ours) <= kRecordedPrecision)) {
      differ(field, recorded, Json(ours));
    }
  }

  void hold(const std::string& what, const Json& recorded, const Json& ours) {
    if (first_.empty() && ours != recorded) differ(what, recorded, ours);
  }

  /// Takes over a difference found elsewhere.
  void also(const std::string& where, const std::string& difference) {
    if (first_.empty() && !difference.empty()) first_ = where + ", " + difference;
  }

  const std::string& first() const { return first_; }

 private:
  void differ(const std::string& what, const Json& recorded, const Json& ours) {
    first_ = format("{}: expected {}, got {}", what, shortened(recorded), shortened(ours));
  }

  const Json& recorded_;
  std::string first_;
};

int64_t whole_number(const std::string& digits) {
  constexpr size_t kMostDigits = 6;
  int64_t value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  check<IoError>(digits.size() <= kMostDigits && result.ec == std::errc() &&
                     result.ptr == digits.data() + digits.size(),
                 "\"{}\" is no length of a row", digits);
  return value;
}

struct TokenColumns {
  explicit TokenColumns(const std::vector<PieceToken>& tokens) {
    for (const PieceToken& token : tokens) {
      ids.push_back(token.id);
      pieces.push_back(token.text);
      begin.push_back(token.begin);
      end.push_back(token.end);
    }
  }
  std::vector<int32_t> ids;
  std::vector<std::string> pieces;
  std::vector<int64_t> begin, end;
};

std::string from_base64(const std::string& text) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t value = kDigits.find(c);
    if (value == std::string_view::npos) continue;  // the padding
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xFF);
  }
  return out;
}

/// The pieces of a recorded path. The record has one for every unknown character, tokens have one
/// for a run of them.
std::vector<std::string> path_pieces(const Json& path, int32_t unknown_id) {
  const auto ids = path.at("ids").get<std::vector<int32_t>>();
  auto recorded = path.at("pieces").get<std::vector<std::string>>();
  check<IoError>(ids.size() == recorded.size(), "a path has {} ids, but {} pieces", ids.size(),
                 recorded.size());
  std::vector<std::string> pieces;
  for (size_t i = 0; i < ids.size(); ++i) {
    const bool joins = i > 0 && ids[i] == unknown_id && ids[i - 1] == unknown_id;
    if (joins) {
      pieces.back() += recorded[i];
    } else {
      pieces.push_back(std::move(recorded[i]));
    }
  }
  return pieces;
}

}  // namespace

std::string input_of(const Json& recorded) {
  return recorded.contains("b64") ? from_base64(recorded.at("b64").get<std::string>())
                                  : recorded.at("text").get<std::string>();
}

std::string encode_difference(const PieceCodec& codec, const Json& recorded) {
  const std::string text = input_of(recorded);
  const TokenColumns ours(codec.encode_tokens(text));
  FieldCheck fields(recorded);
  fields.equal("ids", ours.ids);
  fields.hold("ids without positions", ours.ids, codec.encode(text));
  fields.equal("pieces", ours.pieces);
  fields.equal("decoded", codec.decode(ours.ids));
  if (!fields.has("begin")) return fields.first();
  fields.equal("begin", ours.begin);
  fields.equal("end", ours.end);
  // Recorded on its own only where it is something else.
  fields.equal(fields.has("decoded_pieces") ? "decoded_pieces" : "decoded",
               codec.decode_pieces(ours.pieces));
  return fields.first();
}

std::string nbest_difference(const PieceCodec& codec, const Json& recorded) {
  const Json& expected = recorded.at("nbest");
  const auto ways =
      Segmentations(codec).best(input_of(recorded), static_cast<int64_t>(expected.size()));
  FieldCheck fields(recorded);
  fields.hold("segmentations", expected.size(), ways.size());
  for (size_t i = 0; fields.first().empty() && i < ways.size(); ++i) {
    const TokenColumns ours(ways[i].tokens);
    FieldCheck way(expected.at(i));
    way.equal("ids", ours.ids);
    way.equal("pieces", ours.pieces);
    way.close("score", static_cast<double>(ways[i].score));
    fields.also(format("segmentation {}", i + 1), way.first());
  }
  return fields.first();
}

std::string lattice_difference(const PieceCodec& codec, const Json& recorded) {
  const std::string text = input_of(recorded);
  const auto alpha = recorded.at("alpha").get<double>();
  const Segmentations segmentations(codec);
  const SegmentationTotals totals = segmentations.totals(text, alpha);
  FieldCheck fields(recorded);
  fields.equal("num_paths", totals.paths);
  fields.close("logZ", totals.log_weight);
  fields.close("entropy", totals.entropy);
  const Json& top = recorded.at("top");
  const double most = std::min(totals.paths, static_cast<double>(Segmentations::kMostBest));
  const auto ways = segmentations.best(text, static_cast<int64_t>(most), alpha);
  fields.hold("at least so many segmentations", top.size(), std::min(top.size(), ways.size()));
  for (size_t i = 0; fields.first().empty() && i < top.size(); ++i) {
    // Equal ones may come in another order.
    const auto pieces = path_pieces(top[i], codec.unknown_id());
    const auto same = std::find_if(ways.begin(), ways.end(), [&](const ScoredTokens& way) {
      return TokenColumns(way.tokens).pieces == pieces;
    });
    FieldCheck path(top[i]);
    path.close("logprob", ways[i].log_probability);
    path.hold("pieces", pieces, same == ways.end() ? Json() : Json(pieces));
    if (same != ways.end()) path.close("logprob", same->log_probability);
    fields.also(format("segmentation {}", i + 1), path.first());
  }
  return fields.first();
}

std::string xlmr_difference(const PieceCodec& codec, const Json& recorded) {
  const XlmrIds xlmr(codec);
  const std::string text = input_of(recorded);
  const auto mode =
      recorded.at("split_special").get<bool>() ? SpecialText::kSplit : SpecialText::kPlain;
  const std::vector<int64_t> ids = xlmr.encode(text, mode);
  std::vector<int64_t> framed = ids;
  framed.insert(framed.begin(), XlmrIds::kBos);
  framed.push_back(XlmrIds::kEos);
  FieldCheck fields(recorded);
  fields.equal("tokens", xlmr.tokens(text, mode));
  fields.equal("ids", ids);
  fields.equal("vocab_size", xlmr.vocab_size());
  fields.equal("mask_id", xlmr.mask_id());
  fields.equal("decode_skip", xlmr.decode(ids));
  fields.equal("decode_skip_clean", xlmr.decode(ids, {.clean_up = true}));
  fields.equal("decode_keep", xlmr.decode(framed, {.skip_special = false}));
  if (!fields.has("beit3")) return fields.first();
  for (const auto& [length, row] : recorded.at("beit3").items()) {
    const PackedText packed = pack_text(ids, whole_number(length));
    FieldCheck packing(row);
    packing.equal("tokens", packed.tokens);
    packing.equal("padding_mask", packed.padding_mask);
    packing.equal("num_tokens", packed.num_tokens);
    fields.also("row of " + length, packing.first());
  }
  return fields.first();
}

std::string load_difference(const Json& recorded) {
  const bool valid = recorded.at("ok").get<bool>();
  const std::string bytes = from_base64(recorded.at("model_b64").get<std::string>());
  std::unique_ptr<PieceCodec> codec;
  try {
    codec = std::make_unique<PieceCodec>(parse_model(bytes, "case"), "case");
  } catch (const IoError& error) {
    return valid ? format("ok: expected a model, got {}", error.what()) : "";
  }
  FieldCheck fields(recorded);
  fields.equal("ok", true);
  if (!valid) return fields.first();
  fields.equal("size", codec->piece_count());
  fields.equal("unk_id", codec->unk_id());
  fields.equal("bos_id", codec->bos_id());
  fields.equal("eos_id", codec->eos_id());
  fields.equal("pad_id", codec->pad_id());
  for (const Json& text : recorded.at("cases")) {
    fields.also(shortened(text.at("text")), encode_difference(*codec, text));
  }
  return fields.first();
}

std::string vqa_difference(const Json& recorded) {
  FieldCheck fields(recorded);
  fields.equal("norm", normalize_answer(input_of(recorded)));
  return fields.first();
}

}  // namespace tessera::beit3
