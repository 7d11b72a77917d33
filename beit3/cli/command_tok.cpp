#include "beit3/cli/command_tok.h"

#include <charconv>
#include <memory>

#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/line_blocks.h"
#include "beit3/cli/terminal.h"
#include "beit3/text/tokenizer.h"

namespace tessera::beit3::cli {
namespace {

struct UseOptions {
  std::string model;
  std::vector<std::string> texts;
  bool pieces = false;
};

int decode(const UseOptions& o) {
  const Tokenizer tokenizer = Tokenizer::load(o.model);
  std::vector<int64_t> ids;
  auto read_ids = [&](const std::string& line) {
    for (size_t at = 0; (at = line.find_first_not_of(" ,\t", at)) != std::string::npos;) {
      const size_t end = std::min(line.find_first_of(" ,\t", at), line.size());
      int64_t id = 0;
      const auto result = std::from_chars(line.data() + at, line.data() + end, id);
      check<UsageError>(result.ec == std::errc() && result.ptr == line.data() + end,
                        "tok decode: \"{}\" is no id", line.substr(at, end - at));
      ids.push_back(id);
      at = end;
    }
  };
  auto show = [&] {
    for (const int64_t id : ids) {
      check<UsageError>(id >= 0 && id < tokenizer.vocab_size(),
                        "tok decode: id {} is none of the model's, 0 … {}", id,
                        tokenizer.vocab_size() - 1);
    }
    print(tokenizer.decode(ids) + "\n");
    ids.clear();
  };
  if (!o.texts.empty()) {  // ids as separate words are one text
    for (const std::string& word : o.texts) read_ids(word);
    show();
    return kDone;
  }
  for_each_block_of_lines([&](const std::vector<std::string>& lines) {
    for (const std::string& line : lines) {
      read_ids(line);
      show();
    }
  });
  return kDone;
}

int info(const UseOptions& o) {
  const Tokenizer tokenizer = Tokenizer::load(o.model);
  const SentencePieceModel& model = tokenizer.model();
  const char* types[] = {"", "unigram", "bpe", "word", "char"};
  print(
      format("type           {}\npieces         {}\nids            {} (with <pad> and <mask>)\n"
             "<mask>         {}\nnormalization  {}\nbyte fallback  {}\nhash           {}\n",
             types[static_cast<int>(model.trainer.model_type)], model.pieces.size(),
             tokenizer.vocab_size(), tokenizer.mask_id(),
             model.normalizer.name.empty() ? "none" : model.normalizer.name,
             model.trainer.byte_fallback ? "yes" : "no", hex_digits(tokenizer.hash())));
  if (!o.pieces) return kDone;
  for (int64_t id = 0; id < tokenizer.vocab_size(); ++id) {
    print(std::to_string(id) + "\t" + std::string(tokenizer.piece(id)) + "\n");
  }
  return kDone;
}

Command decode_command() {
  auto o = std::make_shared<UseOptions>();
  return {.name = "decode",
          .summary = "ids to text",
          .notes =
              "examples:\n"
              "  beit3 tok decode text.model 5 17 8\n"
              "  beit3 tok encode text.model < captions.txt | beit3 tok decode text.model\n",
          .options = {{"MODEL", &o->model, "a SentencePiece .model file", "", true},
                      {"ID", &o->texts, "without any: lines of the standard input"}},
          .run = [o] { return decode(*o); }};
}

Command info_command() {
  auto o = std::make_shared<UseOptions>();
  return {.name = "info",
          .summary = "what is in a model",
          .notes = "examples:\n  beit3 tok info text.model --pieces\n",
          .options = {{"MODEL", &o->model, "a SentencePiece .model file", "", true},
                      {"--pieces", &o->pieces, "list every id with its piece"}},
          .run = [o] { return info(*o); }};
}

}  // namespace

Command tok_command() {
  return {.name = "tok",
          .summary = "train and use text tokenizers",
          .children = {tok_train_command(), tok_encode_command(), decode_command(), info_command(),
                       tok_compare_command()}};
}

}  // namespace tessera::beit3::cli
