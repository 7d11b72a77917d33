#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "beit3/text/charsmap.h"
#include "beit3/text/piece_codec.h"
#include "beit3/text/unicode_rules.h"
#include "beit3/text/xlmr_ids.h"
#include "tensor/base/error.h"

namespace tessera::beit3::testing {

using Json = nlohmann::json;

/// The lines of a JSONL file.
inline std::vector<Json> read_cases(const std::string& path) {
  std::ifstream file(path);
  check<IoError>(file.good(), "cannot open {}", path);
  std::vector<Json> cases;
  for (std::string line; std::getline(file, line);) cases.push_back(Json::parse(line));
  return cases;
}

inline std::string from_base64(const std::string& text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int v = c >= 'A' && c <= 'Z'   ? c - 'A'
                  : c >= 'a' && c <= 'z' ? c - 'a' + 26
                  : c >= '0' && c <= '9' ? c - '0' + 52
                  : c == '+'             ? 62
                  : c == '/'             ? 63
                                         : -1;
    if (v < 0) continue;
    bits = bits << 6 | static_cast<uint32_t>(v);
    if ((count += 6) >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xFF);
    }
  }
  return out;
}

/// Codecs of the models in a folder, loaded once each. A model that names built-in rules but holds
/// no table gets the table we build.
class Codecs {
 public:
  explicit Codecs(std::string folder) : folder_(std::move(folder)) {}

  const PieceCodec& operator[](const std::string& name) {
    auto& codec = codecs_[name];
    if (!codec) {
      const std::string path = folder_ + "/" + name + ".model";
      SentencePieceModel model = load_model(path);
      NormalizerSpec& spec = model.normalizer;
      if (spec.charsmap.empty() && spec.name.find("nfkc") != std::string::npos) {
        spec.charsmap = table(spec.name);
      }
      codec = std::make_unique<PieceCodec>(std::move(model), path);
    }
    return *codec;
  }

 private:
  const std::string& table(const std::string& rules) {
    std::string& blob = tables_[rules];
    if (blob.empty()) blob = compile_charsmap(builtin_rewrite_rules(rules));
    return blob;
  }

  std::string folder_;
  std::map<std::string, std::string> tables_;
  std::map<std::string, std::unique_ptr<PieceCodec>> codecs_;
};

inline std::string input_of(const Json& c) {
  return c.contains("b64") ? from_base64(c["b64"].get<std::string>())
                           : c["text"].get<std::string>();
}

/// The first field of a recorded encode/decode case that differs, or "".
inline std::string difference(const PieceCodec& codec, const Json& c) {
  const std::string text = input_of(c);
  std::vector<int32_t> ids;
  std::vector<std::string> pieces;
  std::vector<int64_t> begin, end;
  for (const PieceToken& token : codec.encode_tokens(text)) {
    ids.push_back(token.id);
    pieces.push_back(token.text);
    begin.push_back(token.begin);
    end.push_back(token.end);
  }
  if (ids != c["ids"].get<std::vector<int32_t>>()) return "ids";
  if (codec.encode(text) != ids) return "encode against encode_tokens";
  if (pieces != c["pieces"].get<std::vector<std::string>>()) return "pieces";
  if (c.contains("begin") && begin != c["begin"].get<std::vector<int64_t>>()) return "begin";
  if (c.contains("end") && end != c["end"].get<std::vector<int64_t>>()) return "end";
  const std::string decoded = codec.decode(ids);
  if (decoded != c["decoded"].get<std::string>()) return "decoded";
  const std::string from_pieces =
      c.contains("decoded_pieces") ? c["decoded_pieces"].get<std::string>() : decoded;
  if (c.contains("begin") && codec.decode_pieces(pieces) != from_pieces) return "decoded_pieces";
  return "";
}

/// The first field of a recorded load case that differs, or "".
inline std::string load_difference(const Json& c) {
  const std::string bytes = from_base64(c["model_b64"].get<std::string>());
  std::unique_ptr<PieceCodec> codec;
  try {
    codec = std::make_unique<PieceCodec>(parse_model(bytes, "case.model"), "case.model");
  } catch (const IoError& error) {
    return c["ok"].get<bool>() ? std::string("refused: ") + error.what() : "";
  }
  if (!c["ok"].get<bool>()) return "accepted";
  if (codec->piece_count() != c["size"].get<int64_t>()) return "size";
  if (codec->unk_id() != c["unk_id"].get<int32_t>()) return "unk_id";
  if (codec->bos_id() != c["bos_id"].get<int32_t>()) return "bos_id";
  if (codec->eos_id() != c["eos_id"].get<int32_t>()) return "eos_id";
  if (codec->pad_id() != c["pad_id"].get<int32_t>()) return "pad_id";
  for (const Json& text_case : c["cases"]) {
    const std::string what = difference(*codec, text_case);
    if (!what.empty()) return what + " of \"" + text_case["text"].get<std::string>() + '"';
  }
  return "";
}

/// The first field of a recorded XLM-R case that differs, or "".
inline std::string xlmr_difference(const PieceCodec& codec, const Json& c) {
  const XlmrIds xlmr(codec);
  const auto mode = c["split_special"].get<bool>() ? SpecialText::kSplit : SpecialText::kPlain;
  const std::vector<int64_t> ids = xlmr.encode(input_of(c), mode);
  if (ids != c["ids"].get<std::vector<int64_t>>()) return "ids";
  if (xlmr.vocab_size() != c["vocab_size"].get<int64_t>()) return "vocab_size";
  if (xlmr.mask_id() != c["mask_id"].get<int64_t>()) return "mask_id";
  if (xlmr.decode(ids) != c["decode_skip"].get<std::string>()) return "decode_skip";
  if (xlmr.decode(ids, {.clean_up = true}) != c["decode_skip_clean"].get<std::string>()) {
    return "decode_skip_clean";
  }
  std::vector<int64_t> framed = ids;
  framed.insert(framed.begin(), XlmrIds::kBos);
  framed.push_back(XlmrIds::kEos);
  if (xlmr.decode(framed, {.skip_special = false}) != c["decode_keep"].get<std::string>()) {
    return "decode_keep";
  }
  if (!c.contains("beit3")) return "";
  for (const auto& [max_len, row] : c["beit3"].items()) {
    if (ids.empty()) continue;
    const PackedText packed = pack_text(ids, std::stoll(max_len));
    if (packed.tokens != row["tokens"].get<std::vector<int64_t>>()) return "tokens";
    if (packed.padding_mask != row["padding_mask"].get<std::vector<uint8_t>>()) return "mask";
    if (packed.num_tokens != row["num_tokens"].get<int64_t>()) return "num_tokens";
  }
  return "";
}

}  // namespace tessera::beit3::testing
