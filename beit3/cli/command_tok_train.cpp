#include <algorithm>
#include <filesystem>
#include <memory>

#include "beit3/cli/command_tok.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/machine_options.h"
#include "beit3/cli/terminal.h"
#include "beit3/data/manifest.h"
#include "beit3/text/bpe_trainer.h"
#include "beit3/text/unigram_trainer.h"

namespace tessera::beit3::cli {
namespace {

struct TrainOptions {
  std::vector<std::string> files;
  std::string out, type = "unigram", control, user;
  int64_t vocab_size = 8000, sentences = 0;
  double coverage = 0.9995;
  bool exact = false, vocabulary = false;
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

/// The parts of a list "a,b,c"; an empty list has none.
std::vector<std::string> listed(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    if (end > begin) parts.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

void fill_spec(TrainOptions& o) {
  check<UsageError>(o.type == "unigram" || o.type == "bpe",
                    "--type is \"{}\"; expected unigram or bpe", o.type);
  check<UsageError>(o.vocab_size > 0 && o.vocab_size <= kMaxPieces,
                    "--vocab-size is {}; expected 1 … {}", o.vocab_size, kMaxPieces);
  check<UsageError>(o.sentences >= 0, "--sentences is {}; expected 0 or more", o.sentences);
  const bool words = o.trainer.whole_words;
  check<UsageError>(!words || o.type == "unigram",
                    "--words chooses candidates of a unigram training; --type bpe has none");
  TrainerSpec& spec = o.trainer.spec;
  spec.vocab_size = static_cast<int32_t>(o.vocab_size);
  spec.character_coverage = static_cast<float>(o.coverage);
  spec.input_sentence_size = static_cast<uint64_t>(o.sentences);
  spec.input = o.files;
  spec.model_prefix = std::filesystem::path(o.out).stem().string();
  spec.control_symbols = listed(o.control);
  spec.user_defined_symbols = listed(o.user);
  spec.hard_vocab_limit = o.exact || !words;
}

std::string progress_line(const TrainingProgress& p) {
  std::string text(p.stage);
  if (p.pieces > 0 && p.round > 0) text += format(": round {}", p.round);
  if (p.pieces > 0) {
    text += format("{} {} of {} pieces", p.round > 0 ? "," : ":", p.pieces, p.target);
  }
  if (p.bits_per_character > 0) {
    text += ", " + fixed(p.bits_per_character, 3) + " bits a character";
  }
  return text;
}

int train(TrainOptions& o) {
  fill_spec(o);
  o.machine.apply();
  const std::vector<std::string> lines = read_texts(o.files);
  SentencePieceModel model;
  {
    LiveLine line;
    const auto train_model = o.type == "bpe" ? train_bpe : train_unigram;
    model = train_model(lines, o.trainer,
                        [&](const TrainingProgress& p) { line.show(progress_line(p)); });
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

}  // namespace

Command tok_train_command() {
  auto o = std::make_shared<TrainOptions>();
  Command command{
      .name = "train",
      .summary = "train a vocabulary on texts",
      .notes =
          "Sources are text files (a text a line), or anything with captions that `beit3 data\n"
          "check` reads. The model is a SentencePiece file.\n\n"
          "examples:\n"
          "  beit3 tok train --vocab-size 8000 --out text.model books.txt\n"
          "  beit3 tok train --type bpe --byte-fallback --vocab-size 4000 --out text.model "
          "books.txt\n"
          "  beit3 tok train --words --vocab-size 100 --out text.model world world/texts.txt\n",
      .options =
          {{"FILE", &o->files, "texts", "", true},
           {"--out", &o->out, "the model to write", "FILE.model", true},
           {"--vocab-size", &o->vocab_size, "pieces, the special ones included (8000)"},
           {"--type", &o->type,
            "unigram: the most probable pieces; bpe: the most frequent pairs merged (unigram)",
            "NAME"},
           {"--words", &o->trainer.whole_words,
            "also take whole words as candidates, and fewer pieces if the texts have no "
            "more: for small worlds of few words"},
           {"--exact", &o->exact, "with --words: it is an error if there are fewer pieces"},
           {"--byte-fallback", &o->trainer.spec.byte_fallback,
            "write characters without a piece as bytes instead of <unk>"},
           {"--split-digits", &o->trainer.spec.split_digits, "a piece for every digit"},
           {"--control", &o->control, "further ids that no text gives: <a>,<b>", "LIST"},
           {"--user", &o->user, "texts that stay whole: <a>,<b>", "LIST"},
           {"--legacy", &o->trainer.legacy_rules, "count as SentencePiece did up to 0.1.98"},
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

}  // namespace tessera::beit3::cli
