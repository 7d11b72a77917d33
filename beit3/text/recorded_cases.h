#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "beit3/text/piece_codec.h"

namespace tessera::beit3 {

/// A recorded case in which something else came out.
struct CaseDifference {
  int64_t line;       ///< in its file, from 1
  std::string what;   ///< "FIELD: expected ..., got ..."
  std::string input;  ///< the text or, of a model file, the name of the case
};

/// The cases of one kind and one model in a file.
struct CaseTally {
  std::string kind;   ///< "encode", "nbest", "lattice", "xlmr", "load" or "vqa_norm"
  std::string model;  ///< its name; "-" for cases without one
  int64_t cases = 0, equal = 0;
};

/// What became of a file of recorded cases.
struct CaseFileReport {
  std::vector<CaseTally> tallies;  ///< by kind, then model
  std::vector<CaseDifference> differences;

  bool ok() const { return differences.empty(); }
};

/// Compares the tokenizer with what SentencePiece and the reference of BEiT-3 gave for the same
/// texts, recorded one JSON object a line:
///
///   encode    model, text (or b64), ids, pieces, begin, end, decoded [, decoded_pieces]
///   nbest     model, text, nbest: a list of {pieces, ids, score}
///   lattice   model, text, alpha, num_paths, logZ, entropy, top: a list of {pieces, ids, logprob}
///   xlmr      model, text, split_special, tokens, ids, vocab_size, mask_id, decode_skip,
///             decode_skip_clean, decode_keep [, beit3: rows by their length]
///   load      name, model_b64, ok; if ok: size, unk_id, bos_id, eos_id, pad_id, cases to encode
///   vqa_norm  text, norm
///
/// The field "kind" says which; without it a case with model_b64 is "load", any other "encode".
/// All fields have to be equal, numbers with a fraction to the five decimals of the record.
class RecordedCases {
 public:
  /// Gives the codec of a model by its name. Throws IoError if there is none.
  using Loader = std::function<std::unique_ptr<const PieceCodec>(const std::string& name)>;

  /// Models are FOLDER/NAME.model.
  explicit RecordedCases(const std::string& folder);
  explicit RecordedCases(Loader loader) : loader_(std::move(loader)) {}

  /// Runs all cases of a file. Throws IoError if it, or a model, is missing or malformed.
  CaseFileReport compare(const std::string& path);

 private:
  const PieceCodec& codec(const std::string& name);

  Loader loader_;
  std::map<std::string, std::unique_ptr<const PieceCodec>> codecs_;
};

}  // namespace tessera::beit3
