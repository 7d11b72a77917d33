#include "beit3/text/sentencepiece_model.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beit3/text/sentencepiece.pb.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr int kMaxNesting = 32;  // the format itself needs 3

/// Counts the elements of a message and of its specs, so that a small file full of empty elements
/// is refused before objects for all of them are made. Returns false at malformed bytes.
bool count_elements(CodedInputStream& in, bool top, int64_t& count) {
  for (;;) {
    const uint32_t tag = in.ReadTag();
    if (tag == 0) return in.ConsumedEntireMessage();
    if (++count > kMaxPieces) return true;
    const int field = WireFormatLite::GetTagFieldNumber(tag);
    const bool holds_lists =
        top && field >= 2 && field <= 5 &&
        WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
    if (!holds_lists) {
      if (!WireFormatLite::SkipField(&in, tag)) return false;
      continue;
    }
    uint32_t bytes = 0;
    if (!in.ReadVarint32(&bytes) || bytes > kMaxModelBytes) return false;
    const auto limit = in.PushLimit(static_cast<int>(bytes));
    if (!count_elements(in, false, count)) return false;
    if (count > kMaxPieces) return true;
    if (in.BytesUntilLimit() != 0) return false;
    in.PopLimit(limit);
  }
}

NormalizerSpec from_wire(const wire::NormalizerSpecWire& w) {
  return {.name = w.name(),
          .charsmap = w.precompiled_charsmap(),
          .add_dummy_prefix = w.add_dummy_prefix(),
          .remove_extra_whitespaces = w.remove_extra_whitespaces(),
          .escape_whitespaces = w.escape_whitespaces(),
          .rule_tsv = w.normalization_rule_tsv()};
}

TrainerSpec from_wire(const wire::TrainerSpecWire& w) {
  TrainerSpec t;
  t.input.assign(w.input().begin(), w.input().end());
  t.model_prefix = w.model_prefix();
  t.model_type = static_cast<PieceModelType>(w.model_type());
  t.vocab_size = w.vocab_size();
  t.accept_language.assign(w.accept_language().begin(), w.accept_language().end());
  t.self_test_sample_size = w.self_test_sample_size();
  t.input_format = w.input_format();
  t.character_coverage = w.character_coverage();
  t.input_sentence_size = w.input_sentence_size();
  t.seed_sentencepiece_size = w.seed_sentencepiece_size();
  t.shrinking_factor = w.shrinking_factor();
  t.num_threads = w.num_threads();
  t.num_sub_iterations = w.num_sub_iterations();
  t.max_sentence_length = w.max_sentence_length();
  t.shuffle_input_sentence = w.shuffle_input_sentence();
  t.max_sentencepiece_length = w.max_sentencepiece_length();
  t.split_by_unicode_script = w.split_by_unicode_script();
  t.split_by_whitespace = w.split_by_whitespace();
  t.split_by_number = w.split_by_number();
  t.treat_whitespace_as_suffix = w.treat_whitespace_as_suffix();
  t.split_digits = w.split_digits();
  t.allow_whitespace_only_pieces = w.allow_whitespace_only_pieces();
  t.control_symbols.assign(w.control_symbols().begin(), w.control_symbols().end());
  t.user_defined_symbols.assign(w.user_defined_symbols().begin(), w.user_defined_symbols().end());
  t.vocabulary_output_piece_score = w.vocabulary_output_piece_score();
  t.hard_vocab_limit = w.hard_vocab_limit();
  t.use_all_vocab = w.use_all_vocab();
  t.byte_fallback = w.byte_fallback();
  t.required_chars = w.required_chars();
  t.unk_id = w.unk_id();
  t.bos_id = w.bos_id();
  t.eos_id = w.eos_id();
  t.pad_id = w.pad_id();
  t.unk_surface = w.unk_surface();
  t.unk_piece = w.unk_piece();
  t.bos_piece = w.bos_piece();
  t.eos_piece = w.eos_piece();
  t.pad_piece = w.pad_piece();
  t.train_extremely_large_corpus = w.train_extremely_large_corpus();
  return t;
}

void to_wire(const NormalizerSpec& n, wire::NormalizerSpecWire& w) {
  w.set_name(n.name);
  w.set_precompiled_charsmap(n.charsmap);
  w.set_add_dummy_prefix(n.add_dummy_prefix);
  w.set_remove_extra_whitespaces(n.remove_extra_whitespaces);
  w.set_escape_whitespaces(n.escape_whitespaces);
  w.set_normalization_rule_tsv(n.rule_tsv);
}

void to_wire(const TrainerSpec& t, wire::TrainerSpecWire& w) {
  for (const std::string& s : t.input) w.add_input(s);
  w.set_model_prefix(t.model_prefix);
  w.set_model_type(static_cast<wire::TrainerSpecWire::ModelType>(t.model_type));
  w.set_vocab_size(t.vocab_size);
  for (const std::string& s : t.accept_language) w.add_accept_language(s);
  w.set_self_test_sample_size(t.self_test_sample_size);
  w.set_input_format(t.input_format);
  w.set_character_coverage(t.character_coverage);
  w.set_input_sentence_size(t.input_sentence_size);
  w.set_seed_sentencepiece_size(t.seed_sentencepiece_size);
  w.set_shrinking_factor(t.shrinking_factor);
  w.set_num_threads(t.num_threads);
  w.set_num_sub_iterations(t.num_sub_iterations);
  w.set_max_sentence_length(t.max_sentence_length);
  w.set_shuffle_input_sentence(t.shuffle_input_sentence);
  w.set_max_sentencepiece_length(t.max_sentencepiece_length);
  w.set_split_by_unicode_script(t.split_by_unicode_script);
  w.set_split_by_whitespace(t.split_by_whitespace);
  w.set_split_by_number(t.split_by_number);
  w.set_treat_whitespace_as_suffix(t.treat_whitespace_as_suffix);
  w.set_split_digits(t.split_digits);
  w.set_allow_whitespace_only_pieces(t.allow_whitespace_only_pieces);
  for (const std::string& s : t.control_symbols) w.add_control_symbols(s);
  for (const std::string& s : t.user_defined_symbols) w.add_user_defined_symbols(s);
  w.set_vocabulary_output_piece_score(t.vocabulary_output_piece_score);
  w.set_hard_vocab_limit(t.hard_vocab_limit);
  w.set_use_all_vocab(t.use_all_vocab);
  w.set_byte_fallback(t.byte_fallback);
  w.set_required_chars(t.required_chars);
  w.set_unk_id(t.unk_id);
  w.set_bos_id(t.bos_id);
  w.set_eos_id(t.eos_id);
  w.set_pad_id(t.pad_id);
  w.set_unk_surface(t.unk_surface);
  w.set_unk_piece(t.unk_piece);
  w.set_bos_piece(t.bos_piece);
  w.set_eos_piece(t.eos_piece);
  w.set_pad_piece(t.pad_piece);
  w.set_train_extremely_large_corpus(t.train_extremely_large_corpus);
}

/// Closes a file descriptor on every way out.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

std::string read_file(const std::string& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  check<IoError>(file.fd >= 0, "load_model: cannot open \"{}\": {}", path, std::strerror(errno));
  struct stat info {};
  check<IoError>(::fstat(file.fd, &info) == 0 && S_ISREG(info.st_mode),
                 "load_model: \"{}\" is not a regular file; pass a SentencePiece .model file",
                 path);
  const auto size_bytes = static_cast<uint64_t>(info.st_size);
  check<IoError>(size_bytes <= kMaxModelBytes,
                 "load_model: \"{}\" has {} bytes, but a model may have at most {}; is it a "
                 "SentencePiece .model file?",
                 path, size_bytes, kMaxModelBytes);
  std::string bytes(size_bytes, '\0');
  size_t done_bytes = 0;
  while (done_bytes < bytes.size()) {
    const ssize_t got = ::read(file.fd, bytes.data() + done_bytes, bytes.size() - done_bytes);
    if (got < 0 && errno == EINTR) continue;
    check<IoError>(got > 0, "load_model: reading \"{}\" stopped at byte {} of {}: {}", path,
                   done_bytes, bytes.size(), got < 0 ? std::strerror(errno) : "the file shrank");
    done_bytes += static_cast<size_t>(got);
  }
  return bytes;
}

void write_file(const std::string& path, std::string_view bytes) {
  const std::string part = path + ".part." + std::to_string(::getpid());
  const auto give_up = [&](std::string_view what) {
    const std::string reason = std::strerror(errno);
    ::unlink(part.c_str());
    fail<IoError>("cannot {} \"{}\": {}", what, path, reason);
  };
  {
    const Descriptor file{::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
    if (file.fd < 0) give_up("create");
    while (!bytes.empty()) {
      const ssize_t done = ::write(file.fd, bytes.data(), bytes.size());
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) give_up("write");
      bytes.remove_prefix(static_cast<size_t>(done));
    }
    if (::fsync(file.fd) != 0) give_up("flush");
  }
  if (::rename(part.c_str(), path.c_str()) != 0) give_up("rename the finished file to");
  // The rename itself lasts only once the folder is flushed; a folder that cannot be opened
  // (some network file systems) is no reason to fail after the data is safe.
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor directory{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory.fd >= 0) ::fsync(directory.fd);
}

}  // namespace

SentencePieceModel parse_model(std::string_view bytes, std::string_view name) {
  check<IoError>(bytes.size() <= kMaxModelBytes,
                 "load_model: \"{}\" has {} bytes, but a model may have at most {}", name,
                 bytes.size(), kMaxModelBytes);
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  const int size = static_cast<int>(bytes.size());
  const auto refuse_format = [&] {
    fail<IoError>(
        "load_model: \"{}\" is not a SentencePiece model (malformed or cut off within "
        "its {} bytes); fetch the .model file again",
        name, bytes.size());
  };
  int64_t count = 0;
  CodedInputStream counter(data, size);
  counter.SetRecursionLimit(kMaxNesting);
  if (!count_elements(counter, true, count)) refuse_format();
  check<IoError>(count <= kMaxPieces, "load_model: \"{}\" holds more than {} elements", name,
                 kMaxPieces);

  wire::ModelWire message;
  CodedInputStream stream(data, size);
  stream.SetRecursionLimit(kMaxNesting);
  if (!message.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) refuse_format();

  SentencePieceModel model;
  model.pieces.reserve(static_cast<size_t>(message.pieces_size()));
  for (const wire::ModelWire::Piece& piece : message.pieces()) {
    model.pieces.push_back({piece.piece(), piece.score(), static_cast<PieceType>(piece.type())});
  }
  model.trainer = from_wire(message.trainer_spec());
  model.normalizer = from_wire(message.normalizer_spec());
  if (message.has_denormalizer_spec()) model.denormalizer = from_wire(message.denormalizer_spec());
  for (const auto& sample : message.self_test_data().samples()) {
    model.self_test.push_back({sample.input(), sample.expected()});
  }
  return model;
}

SentencePieceModel load_model(const std::string& path) {
  return parse_model(read_file(path), path);
}

std::string serialize_model(const SentencePieceModel& model) {
  wire::ModelWire message;
  for (const Piece& piece : model.pieces) {
    wire::ModelWire::Piece& out = *message.add_pieces();
    out.set_piece(piece.text);
    out.set_score(piece.score);
    if (piece.type != PieceType::kNormal) {
      out.set_type(static_cast<wire::ModelWire::Piece::Type>(piece.type));
    }
  }
  to_wire(model.trainer, *message.mutable_trainer_spec());
  to_wire(model.normalizer, *message.mutable_normalizer_spec());
  if (model.denormalizer) to_wire(*model.denormalizer, *message.mutable_denormalizer_spec());
  for (const SelfTestSample& sample : model.self_test) {
    auto& out = *message.mutable_self_test_data()->add_samples();
    out.set_input(sample.input);
    out.set_expected(sample.expected);
  }
  return message.SerializeAsString();
}

void save_model(const SentencePieceModel& model, const std::string& path) {
  write_file(path, serialize_model(model));
}

std::string vocabulary_text(const SentencePieceModel& model) {
  std::string out;
  for (const Piece& piece : model.pieces) {
    out += piece.text;
    if (model.trainer.vocabulary_output_piece_score) {
      char score[32];
      std::snprintf(score, sizeof score, "\t%g", static_cast<double>(piece.score));
      out += score;
    }
    out += '\n';
  }
  return out;
}

void save_vocabulary(const SentencePieceModel& model, const std::string& path) {
  write_file(path, vocabulary_text(model));
}

}  // namespace tessera::beit3
