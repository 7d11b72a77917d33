#include <charconv>
#include <filesystem>
#include <iostream>
#include <memory>

#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/machine_options.h"
#include "beit3/cli/terminal.h"
#include "beit3/data/manifest.h"
#include "beit3/text/tokenizer.h"
#include "beit3/text/unigram_trainer.h"

namespace tessera::beit3::cli {
namespace {

struct TrainOptions {
  std::vector<std::string> files;
  std::string out, type = "unigram";
  int64_t vocab_size = 8000, sentences = 0;
  double coverage = 0.9995;
  bool words = false, exact = false, vocabulary = false;
  TrainerOptions trainer;
  MachineOptions machine;
};

/// All texts of the sources, a line each.
std::vector<std::string> read_texts(const std::vector<std::string>& sources) {
  std::vector<std::string> lines;
  for (const std::string& source : sources) {
    DataSet data = open_dataset(source, {.split = "train"});
    const size_t before = lines.size();
    for (Record& record : data.records) {
      if (!record.text.empty()) lines.push_back(std::move(record.text));
    }
    check<IoError>(lines.size() > before, "{} holds no text", source);
  }
  return lines;
}

int train(TrainOptions& o) {
  check<UsageError>(o.type == "unigram", "--type is \"{}\"; unigram is the one that can be trained",
                    o.type);
  check<UsageError>(o.vocab_size > 0 && o.vocab_size <= kMaxPieces,
                    "--vocab-size is {}; expected 1 … {}", o.vocab_size, kMaxPieces);
  check<UsageError>(o.sentences >= 0, "--sentences is {}; expected 0 or more", o.sentences);
  o.machine.apply();
  o.trainer.spec.vocab_size = static_cast<int32_t>(o.vocab_size);
  o.trainer.spec.character_coverage = static_cast<float>(o.coverage);
  o.trainer.spec.input_sentence_size = static_cast<uint64_t>(o.sentences);
  o.trainer.spec.input = o.files;
  o.trainer.spec.model_prefix = std::filesystem::path(o.out).stem().string();
  o.trainer.whole_words = o.words;
  o.trainer.spec.hard_vocab_limit = o.exact || !o.words;
  const std::vector<std::string> lines = read_texts(o.files);
  SentencePieceModel model;
  {
    LiveLine line;
    model = train_unigram(lines, o.trainer, [&](const TrainingProgress& p) {
      std::string text(p.stage);
      if (p.pieces > 0) text += format(": round {}, {} of {} pieces", p.round, p.pieces, p.target);
      if (p.bits_per_character > 0)
        text += ", " + fixed(p.bits_per_character, 3) + " bits a character";
      line.show(text);
    });
  }
  save_model(model, o.out);
  if (o.vocabulary) {
    const std::string companion = std::filesystem::path(o.out).replace_extension(".vocab").string();
    save_vocabulary(model, companion);
    say("vocabulary: " + companion);
  }
  say(format("{}: {} pieces from {} lines", o.out, model.pieces.size(), lines.size()));
  return kDone;
}

Command train_command() {
  auto o = std::make_shared<TrainOptions>();
  Command command{
      .name = "train",
      .summary = "train a vocabulary on texts",
      .notes =
          "Sources are text files (a text a line), or anything with captions that `beit3 data\n"
          "check` reads. The model is a SentencePiece file.\n\n"
          "examples:\n"
          "  beit3 tok train --vocab-size 8000 --out text.model books.txt\n"
          "  beit3 tok train --words --vocab-size 100 --out text.model world world/texts.txt\n",
      .options = {{"FILE", &o->files, "texts", "", true},
                  {"--out", &o->out, "the model to write", "FILE.model", true},
                  {"--vocab-size", &o->vocab_size, "pieces, the special ones included (8000)"},
                  {"--type", &o->type, "unigram", "NAME"},
                  {"--words", &o->words,
                   "also take whole words as candidates, and fewer pieces if the texts have no "
                   "more: for small worlds of few words"},
                  {"--exact", &o->exact, "with --words: it is an error if there are fewer pieces"},
                  {"--coverage", &o->coverage, "share of characters that get a piece (0.9995)"},
                  {"--sentences", &o->sentences, "use a random choice of so many lines; 0: all"},
                  {"--normalization", &o->trainer.normalization,
                   "nmt_nfkc, nfkc, nmt_nfkc_cf, nfkc_cf or identity (nmt_nfkc)", "NAME"},
                  {"--seed", &o->trainer.seed, "decides that choice (0)"},
                  {"--vocabulary", &o->vocabulary, "also write the pieces as text, FILE.vocab"}},
      .run = [o] { return train(*o); }};
  o->machine.add_to(command.options);
  return command;
}

/// Calls `f` on each text given, or on each line of the standard input if there is none.
void each_text(const std::vector<std::string>& texts,
               const std::function<void(const std::string&)>& f) {
  if (!texts.empty()) {
    for (const std::string& text : texts) f(text);
    return;
  }
  std::string line;
  while (std::getline(std::cin, line)) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    f(line);
  }
}

struct UseOptions {
  std::string model;
  std::vector<std::string> texts;
  bool pieces = false;
};

int encode(const UseOptions& o) {
  const Tokenizer tokenizer = Tokenizer::load(o.model);
  each_text(o.texts, [&](const std::string& text) {
    std::string line;
    for (const int64_t id : tokenizer.encode(text)) {
      line += (line.empty() ? "" : " ") +
              (o.pieces ? std::string(tokenizer.piece(id)) : std::to_string(id));
    }
    print(line + "\n");
  });
  return kDone;
}

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
  each_text({}, [&](const std::string& line) {
    read_ids(line);
    show();
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

Command use_command(std::string name, std::string summary, std::string notes, std::string places,
                    std::string pieces, int (*run)(const UseOptions&)) {
  auto o = std::make_shared<UseOptions>();
  Command command{.name = std::move(name),
                  .summary = std::move(summary),
                  .notes = std::move(notes),
                  .options = {{"MODEL", &o->model, "a SentencePiece .model file", "", true}},
                  .run = [o, run] { return run(*o); }};
  if (!places.empty()) {
    command.options.push_back({places, &o->texts, "without any: lines of the standard input"});
  }
  if (!pieces.empty()) command.options.push_back({"--pieces", &o->pieces, pieces});
  return command;
}

}  // namespace

Command tok_command() {
  return {.name = "tok",
          .summary = "train and use text tokenizers",
          .children = {
              train_command(),
              use_command("encode", "texts to ids, a line each",
                          "examples:\n"
                          "  beit3 tok encode text.model \"a red circle\"\n"
                          "  beit3 tok encode text.model --pieces < captions.txt\n",
                          "TEXT", "write pieces instead of ids", encode),
              use_command(
                  "decode", "ids to text",
                  "examples:\n"
                  "  beit3 tok decode text.model 5 17 8\n"
                  "  beit3 tok encode text.model < captions.txt | beit3 tok decode text.model\n",
                  "ID", "", decode),
              use_command("info", "what is in a model",
                          "examples:\n  beit3 tok info text.model --pieces\n", "",
                          "list every id with its piece", info)}};
}

}  // namespace tessera::beit3::cli
