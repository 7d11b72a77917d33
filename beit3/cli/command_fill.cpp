#include <memory>

#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/loaded_run.h"
#include "beit3/cli/machine_options.h"
#include "beit3/cli/show_model.h"
#include "beit3/cli/terminal.h"
#include "beit3/image/decode.h"
#include "beit3/image/encode.h"

namespace tessera::beit3::cli {
namespace {

constexpr std::string_view kHole = "[?]";

struct FillOptions {
  RunOptions run;
  MachineOptions machine;
  std::string text, image, sheet, hide = "colour,background";
  int64_t count = 12;
  uint64_t seed = 1;
};

/// A word that is one piece and stands for a hole until it is hidden.
std::string filler(const Tokenizer& tokenizer) {
  for (int64_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (!tokenizer.starts_word(id)) continue;
    std::string word = tokenizer.decode(std::vector<int64_t>{id});
    if (!word.empty() && tokenizer.encode(word) == std::vector<int64_t>{id}) return word;
  }
  fail<StateError>("fill: no piece of the text tokenizer is a word");
}

/// The text with every hole replaced by a word, and the places of those words.
std::pair<std::string, std::vector<int64_t>> with_fillers(const Tokenizer& tokenizer,
                                                          const std::string& text) {
  const std::string word = filler(tokenizer);
  std::string out;
  std::vector<int64_t> places;
  for (size_t at = 0; at < text.size();) {
    if (text.compare(at, kHole.size(), kHole) != 0) {
      out += text[at++];
      continue;
    }
    if (!out.empty() && out.back() != ' ') out += ' ';
    places.push_back(word_count(tokenizer, out));
    out += word;
    at += kHole.size();
    if (at < text.size() && text[at] != ' ') out += ' ';
  }
  return {out, places};
}

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

void fill_text(const FillOptions& o, const LoadedRun& run, const std::vector<float>& picture) {
  const auto [text, places] = with_fillers(run.tokenizer, o.text);
  check<UsageError>(!places.empty(),
                    "--text has no hole; write [?] where a word is to be found, as in "
                    "\"a [?] circle\"");
  const auto length = static_cast<int64_t>(run.tokenizer.encode(text).size());
  check<UsageError>(length + 2 <= run.recipe.model.text_positions - 2,
                    "--text has {} ids; the model takes {}", length,
                    run.recipe.model.text_positions - 4);
  print(fill_caption(run.model, run.tokenizer, picture, text, places).filled + "\n");
}

void write_sheet(const FillOptions& o, const Shown& shown, const std::vector<Image>& pictures,
                 const std::string& path) {
  write_png(path, filled_sheet(shown, pictures, o.seed));
  say("sheet: " + path);
}

int fill(const FillOptions& o) {
  check<UsageError>(o.count > 0 && o.count <= 64, "--count is {}; expected 1 … 64", o.count);
  o.machine.apply();
  const LoadedRun run = load_run(o.run);
  const Shown shown{run.model, run.tokenizer, *run.vq, run.recipe};
  const std::string sheet = o.sheet.empty() ? "filled.png" : o.sheet;
  if (!o.text.empty() || !o.image.empty()) {
    std::vector<float> pixels;
    std::vector<Image> pictures;
    if (!o.image.empty()) {
      pictures.push_back(read_image(o.image));
      pixels = model_pixels(run.recipe, pictures.front());
    }
    if (!o.text.empty()) fill_text(o, run, pixels);
    if (!pictures.empty() && (o.text.empty() || !o.sheet.empty())) {
      write_sheet(o, shown, pictures, sheet);
    }
    return kDone;
  }
  check<UsageError>(!run.recipe.data.held_out.empty(),
                    "{} names no held-out data; give --held-out, or --text and --image",
                    o.run.path);
  const HeldOut samples = first_held_out(run.recipe.data, o.count);
  const auto lexicon = lexicon_of(run.recipe.data.held_out);
  say(lexicon.empty() ? std::string("hidden: every third word")
                      : "hidden: words of the kinds " + o.hide);
  print(filled_captions(shown, samples, lexicon, split_at_commas(o.hide)));
  write_sheet(o, shown, samples.pictures, sheet);
  return kDone;
}

}  // namespace

Command fill_command() {
  auto o = std::make_shared<FillOptions>();
  Command command{
      .name = "fill",
      .summary = "complete masked words given a picture, and masked pictures",
      .notes =
          "Without --text and --image: the first held-out samples, captions beside their own\n"
          "and beside a wrong picture. A hole [?] stands for one word that is one piece.\n"
          "Rows of the sheet: picture, masked, filled by the model, and what the image\n"
          "tokenizer keeps of the whole picture, which is the best that could be reached.\n\n"
          "examples:\n"
          "  beit3 fill run\n"
          "  beit3 fill run --image world/images/012000.png --text \"a [?] circle on a [?] "
          "background\"\n"
          "  beit3 fill run --image photo.jpg --sheet photo-filled.png\n"
          "  beit3 fill run --hide size,shape,count\n",
      .run = [o] { return fill(*o); }};
  o->run.add_to(command.options);
  command.options.insert(
      command.options.end(),
      {{"--text", &o->text, "a text with holes [?]"},
       {"--image", &o->image, "the picture it belongs to, or the one to fill", "FILE"},
       {"--sheet", &o->sheet, "where the sheet goes (filled.png)", "FILE.png"},
       {"--count", &o->count, "held-out samples (12)"},
       {"--hide", &o->hide,
        "kinds of words hidden in captions of a drawn world "
        "(colour,background)",
        "KIND,…"},
       {"--seed", &o->seed, "decides the masks of pictures (1)"}});
  o->machine.add_to(command.options);
  return command;
}

}  // namespace tessera::beit3::cli
