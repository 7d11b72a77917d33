#pragma once

#include <map>
#include <memory>
#include <string>

#include "beit3/text/charsmap.h"
#include "beit3/text/piece_codec.h"
#include "beit3/text/unicode_rules.h"

namespace tessera::beit3::testing {

inline const std::string kFolder = "data/tokenizer";

inline std::string model_path(const std::string& name) { return kFolder + "/" + name + ".model"; }

/// The codec of a model of the test data. One that names built-in rules but holds no table, to keep
/// the folder small, gets the table we build.
inline std::unique_ptr<const PieceCodec> recorded_codec(const std::string& name) {
  static std::map<std::string, std::string> tables;  // building one takes a second
  SentencePieceModel model = load_model(model_path(name));
  NormalizerSpec& spec = model.normalizer;
  if (spec.charsmap.empty() && spec.name.find("nfkc") != std::string::npos) {
    std::string& table = tables[spec.name];
    if (table.empty()) table = compile_charsmap(builtin_rewrite_rules(spec.name));
    spec.charsmap = table;
  }
  return std::make_unique<const PieceCodec>(std::move(model), name);
}

}  // namespace tessera::beit3::testing
