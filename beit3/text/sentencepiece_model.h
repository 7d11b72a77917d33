#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::beit3 {

/// What a piece of a SentencePiece vocabulary stands for. Values are those of the file format.
enum class PieceType : int32_t {
  kNormal = 1,       ///< ordinary text
  kUnknown = 2,      ///< stands for text that no piece covers; exactly one per model
  kControl = 3,      ///< a marker such as <s>; never matches text, decodes to nothing
  kUserDefined = 4,  ///< text that is protected from normalisation and favoured
  kUnused = 5,       ///< known, but never produced
  kByte = 6,         ///< <0xHH>: one byte of text that no piece covers
};

/// True for pieces that stand for something other than their text, and so never match any.
inline bool is_reserved(PieceType type) {
  return type == PieceType::kUnknown || type == PieceType::kControl || type == PieceType::kByte;
}

/// How the pieces are put together. Values are those of the file format.
enum class PieceModelType : int32_t { kUnigram = 1, kBpe = 2, kWord = 3, kChar = 4 };

/// One entry of the vocabulary; its index in the model is the piece id.
struct Piece {
  std::string text;
  float score = 0;
  PieceType type = PieceType::kNormal;
};

/// The options a model was trained with. Encoding and decoding use the model type, byte fallback,
/// whitespace mode and the five special texts; the rest documents the training. Defaults are the
/// file format's.
struct TrainerSpec {
  std::vector<std::string> input;
  std::string model_prefix;
  PieceModelType model_type = PieceModelType::kUnigram;
  int32_t vocab_size = 8000;
  std::vector<std::string> accept_language;
  int32_t self_test_sample_size = 0;
  std::string input_format;
  float character_coverage = 0.9995f;
  uint64_t input_sentence_size = 0;
  int32_t seed_sentencepiece_size = 1000000;
  float shrinking_factor = 0.75f;
  int32_t num_threads = 16;
  int32_t num_sub_iterations = 2;
  int32_t max_sentence_length = 4192;
  bool shuffle_input_sentence = true;
  int32_t max_sentencepiece_length = 16;
  bool split_by_unicode_script = true;
  bool split_by_whitespace = true;
  bool split_by_number = true;
  bool treat_whitespace_as_suffix = false;
  bool split_digits = false;
  bool allow_whitespace_only_pieces = false;
  std::vector<std::string> control_symbols;
  std::vector<std::string> user_defined_symbols;
  bool vocabulary_output_piece_score = true;
  bool hard_vocab_limit = true;
  bool use_all_vocab = false;
  bool byte_fallback = false;
  std::string required_chars;
  int32_t unk_id = 0;
  int32_t bos_id = 1;
  int32_t eos_id = 2;
  int32_t pad_id = -1;
  std::string unk_surface = " \xE2\x81\x87 ";
  std::string unk_piece = "<unk>";
  std::string bos_piece = "<s>";
  std::string eos_piece = "</s>";
  std::string pad_piece = "<pad>";
  bool train_extremely_large_corpus = false;
};

/// How text is rewritten before it is cut into pieces (see normalizer.h).
struct NormalizerSpec {
  std::string name;
  std::string charsmap;  ///< compiled rewriting table (see charsmap.h); empty: no rewriting
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
  std::string rule_tsv;
};

/// A text and its pieces, joined by single spaces, that a loader must reproduce.
struct SelfTestSample {
  std::string input;
  std::string expected;
};

/// The content of one `.model` file.
struct SentencePieceModel {
  std::vector<Piece> pieces;
  TrainerSpec trainer;
  NormalizerSpec normalizer;
  std::optional<NormalizerSpec> denormalizer;
  std::vector<SelfTestSample> self_test;
};

/// Limits on a file from a stranger, checked before anything of that size is allocated.
inline constexpr size_t kMaxModelBytes = size_t{256} << 20;
inline constexpr int64_t kMaxPieces = (int64_t{1} << 24) - 1;

/// Reads a model from the bytes of a `.model` file. `name` is used in messages.
///
/// Checks the encoding and the limits only; PieceCodec checks that the pieces make sense.
/// Throws IoError if the bytes are not a well-formed model or exceed a limit.
SentencePieceModel parse_model(std::string_view bytes, std::string_view name);

/// Reads a `.model` file. Throws IoError if it cannot be read, or as `parse_model`.
SentencePieceModel load_model(const std::string& path);

/// The bytes of a `.model` file. `parse_model(serialize_model(m))` gives m again.
std::string serialize_model(const SentencePieceModel& model);

/// Writes a `.model` file atomically. Throws IoError on failure, leaving any old file in place.
void save_model(const SentencePieceModel& model, const std::string& path);

/// The `.vocab` companion of a model: one line "piece<TAB>score" per id, the score with six
/// significant digits.
std::string vocabulary_text(const SentencePieceModel& model);

/// Writes `vocabulary_text(model)` atomically. Throws IoError on failure.
void save_vocabulary(const SentencePieceModel& model, const std::string& path);

}  // namespace tessera::beit3
