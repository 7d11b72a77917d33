#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>

#include "beit3/cli/command_tok.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/line_blocks.h"
#include "beit3/cli/machine_options.h"
#include "beit3/cli/terminal.h"
#include "beit3/text/segmentations.h"
#include "beit3/text/task_length.h"
#include "beit3/text/xlmr_ids.h"
#include "tensor/base/parallel.h"

namespace tessera::beit3::cli {
namespace {

struct EncodeOptions {
  std::string model, task;
  std::vector<std::string> texts;
  bool pieces = false, model_ids = false, split = false;
  int64_t nbest = 0, length = 0;
  double alpha = 0;
  bool sample = false;
  uint64_t seed = 0;
  MachineOptions machine;
};

template <class Number>
void append_number(std::string& out, Number value) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

/// Appends what a text becomes to the output, as the options say.
class TextEncoder {
 public:
  explicit TextEncoder(const EncodeOptions& o) : options_(o), codec_(load_model(o.model), o.model) {
    if (!o.model_ids) ids_.emplace(codec_);
    if (o.nbest > 0 || o.sample) ways_.emplace(codec_);
    if (!o.task.empty()) length_ = task_length(o.task);
    if (o.length > 0) length_ = o.length;
  }

  /// `number` tells texts apart in random draws.
  void append(const std::string& text, uint64_t number, std::string& out) const {
    if (options_.sample) {
      append_tokens(ways_->sample(text, {options_.alpha, options_.nbest},
                                  RandomKey{options_.seed}.fold(number)),
                    out);
    } else if (ways_) {
      for (const ScoredTokens& way : ways_->best(text, options_.nbest)) {
        out += fixed(static_cast<double>(way.score), 5) + "\t";
        append_tokens(way.tokens, out);
      }
    } else if (options_.pieces) {
      append_joined(ids_ ? ids_->tokens(text, mode()) : pieces_of(codec_.encode_tokens(text)), out);
    } else if (ids_) {
      const std::vector<int64_t> ids = ids_->encode(text, mode());
      append_joined(length_ > 0 ? pack_text(ids, length_).tokens : ids, out);
    } else {
      append_joined(codec_.encode(text), out);
    }
  }

 private:
  SpecialText mode() const { return options_.split ? SpecialText::kSplit : SpecialText::kPlain; }

  static std::vector<std::string> pieces_of(const std::vector<PieceToken>& tokens) {
    std::vector<std::string> pieces;
    for (const PieceToken& token : tokens) pieces.push_back(token.text);
    return pieces;
  }

  void append_tokens(const std::vector<PieceToken>& tokens, std::string& out) const {
    if (options_.pieces) return append_joined(pieces_of(tokens), out);
    std::vector<int64_t> ids;
    for (const PieceToken& token : tokens) {
      ids.push_back(ids_ ? ids_->id_of_piece(token.id) : token.id);
    }
    append_joined(ids, out);
  }

  template <class T>
  static void append_joined(const std::vector<T>& items, std::string& out) {
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += ' ';
      if constexpr (std::is_same_v<T, std::string>) {
        out += items[i];
      } else {
        append_number(out, items[i]);
      }
    }
    out += '\n';
  }

  const EncodeOptions& options_;
  PieceCodec codec_;
  std::optional<XlmrIds> ids_;
  std::optional<Segmentations> ways_;
  int64_t length_ = 0;  // of packed rows; 0: content ids as they are
};

void check_options(const EncodeOptions& o) {
  const bool other = o.nbest != 0 || o.sample, packed = !o.task.empty() || o.length != 0;
  check<UsageError>(!o.sample || o.alpha >= 0, "--sample is {}; expected 0 or more", o.alpha);
  const int64_t most = o.sample ? Segmentations::kMostAmong : Segmentations::kMostBest;
  check<UsageError>(o.nbest >= 0 && o.nbest <= most, "--nbest is {}; expected 1 … {}", o.nbest,
                    most);
  check<UsageError>(o.length == 0 || o.length >= 3, "--length is {}; expected 3 or more", o.length);
  check<UsageError>(!packed || !(other || o.pieces || o.model_ids),
                    "--task and --length make rows of ids: they do not go with --nbest, --sample, "
                    "--pieces or --model-ids");
  check<UsageError>(!o.split || !(other || o.model_ids),
                    "--special does not go with --nbest, --sample or --model-ids");
}

int encode(const EncodeOptions& o) {
  constexpr int64_t kTextsAChunk = 64;
  check_options(o);
  o.machine.apply();
  const TextEncoder encoder(o);
  uint64_t done = 0;
  const auto encode_all = [&](const std::vector<std::string>& texts) {
    const auto count = static_cast<int64_t>(texts.size());
    std::vector<std::string> chunks(static_cast<size_t>((count + kTextsAChunk - 1) / kTextsAChunk));
    parallel_ranges(count, kTextsAChunk, [&](int64_t begin, int64_t end) {
      std::string& out = chunks[static_cast<size_t>(begin / kTextsAChunk)];
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        encoder.append(texts[i], done + i, out);
      }
    });
    for (const std::string& chunk : chunks) print(chunk);
    finish_output();
    done += texts.size();
  };
  if (o.texts.empty()) {
    for_each_block_of_lines(encode_all);
  } else {
    encode_all(o.texts);
  }
  return kDone;
}

}  // namespace

Command tok_encode_command() {
  auto o = std::make_shared<EncodeOptions>();
  const auto set_alpha = [o](const std::string& text) {
    const char* const end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, o->alpha);
    check<UsageError>(result.ec == std::errc() && result.ptr == end,
                      "tok encode: --sample is \"{}\"; expected a number", text);
    o->sample = true;
  };
  Command command{
      .name = "encode",
      .summary = "texts to ids, a line each",
      .notes =
          "Ids are BEiT-3's (those of XLM-RoBERTa), without <s> and </s>. With --nbest a text "
          "gives\n"
          "so many lines \"SCORE<TAB>IDS\", best first.\n\n"
          "examples:\n"
          "  beit3 tok encode text.model \"a red circle\"\n"
          "  beit3 tok encode text.model --pieces < captions.txt\n"
          "  beit3 tok encode text.model --task vqav2 \"what colour is it?\"\n"
          "  beit3 tok encode text.model --nbest 5 --pieces \"a red circle\"\n"
          "  beit3 tok encode text.model --sample 0.1 --seed 7 < captions.txt\n",
      .options = {{"MODEL", &o->model, "a SentencePiece .model file", "", true},
                  {"TEXT", &o->texts, "without any: lines of the standard input"},
                  {"--pieces", &o->pieces, "write pieces instead of ids"},
                  {"--model-ids", &o->model_ids, "ids as the model file numbers its pieces"},
                  {"--special", &o->split, "\"<mask>\", \"</s>\" … in a text are the special ids"},
                  {"--task", &o->task,
                   "rows as a task reads them, cut and padded: vqav2, nlvr2, flickr30k, "
                   "coco_retrieval, coco_captioning or nocaps",
                   "NAME"},
                  {"--length", &o->length, "rows of so many ids, <s>, </s> and padding included"},
                  {"--nbest", &o->nbest, "the N best ways to cut a text (unigram)"},
                  {"--sample", set_alpha,
                   "one way at random: the higher ALPHA, the more like the best (of the --nbest "
                   "ones, if given); with bpe, the probability of leaving out a merge",
                   "ALPHA"},
                  {"--seed", &o->seed, "decides the draws (0)"}},
      .run = [o] { return encode(*o); }};
  o->machine.add_to(command.options);
  return command;
}

}  // namespace tessera::beit3::cli
