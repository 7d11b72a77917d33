#include "beit3/cli/show_model.h"

#include <algorithm>

#include "beit3/cli/exit_codes.h"
#include "beit3/cli/terminal.h"
#include "beit3/image/draw.h"
#include "beit3/image/transform.h"
#include "beit3/vqkd/vqkd.h"

namespace tessera::beit3::cli {
namespace {

/// The words of a text, each with its ids.
std::vector<std::vector<int64_t>> words_in(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<std::vector<int64_t>> words;
  for (const int64_t id : tokenizer.encode(text)) {
    if (words.empty() || tokenizer.starts_word(id)) words.emplace_back();
    words.back().push_back(id);
  }
  return words;
}

}  // namespace

HeldOut first_held_out(const DataRecipe& source, int64_t count) {
  const DataSet data = open_dataset(source.held_out, {.split = source.held_out_split});
  HeldOut samples;
  for (int64_t i = 0; i < data.size() && static_cast<int64_t>(samples.pictures.size()) < count;
       ++i) {
    const Record& record = data.records[static_cast<size_t>(i)];
    if (record.image_path.empty()) continue;
    try {
      samples.pictures.push_back(data.image(i));
      samples.texts.push_back(record.text);
    } catch (const IoError& e) {
      say(std::string("left out: ") + e.what());
    }
  }
  check<IoError>(!samples.pictures.empty(), "{} holds no picture to show", source.held_out);
  return samples;
}

std::vector<float> model_pixels(const PretrainRecipe& recipe, const Image& picture) {
  AugmentSpec spec;
  spec.side = recipe.model.image_size;
  spec.framing = Framing::stretch;
  spec.flip_probability = 0;
  return augment(picture, spec, {}).pixels;
}

int64_t word_count(const Tokenizer& tokenizer, const std::string& text) {
  return static_cast<int64_t>(words_in(tokenizer, text).size());
}

Image filled_sheet(const Shown& shown, const std::vector<Image>& pictures, uint64_t seed) {
  std::vector<SheetRow> rows{
      {"picture", {}, {}}, {"masked", {}, {}}, {"filled", {}, {}}, {"all codes", {}, {}}};
  for (size_t i = 0; i < pictures.size(); ++i) {
    FilledPicture filled = fill_picture(shown.model, shown.vq, pictures[i], shown.recipe,
                                        RandomKey{seed}.fold(4).fold(i));
    rows[0].images.push_back(std::move(filled.picture));
    rows[1].images.push_back(std::move(filled.masked));
    rows[2].images.push_back(std::move(filled.filled));
    rows[3].images.push_back(std::move(filled.limit));
  }
  return contact_sheet(rows,
                       {.title = "held-out pictures; last row: what the image tokenizer alone "
                                 "keeps"});
}

std::vector<int64_t> words_to_hide(const Tokenizer& tokenizer, const std::string& text,
                                   const std::map<std::string, std::string>& lexicon,
                                   const std::vector<std::string>& kinds) {
  std::vector<int64_t> places;
  const auto words = words_in(tokenizer, text);
  for (size_t w = 0; w < words.size(); ++w) {
    bool hide = w % 3 == 1;
    if (!lexicon.empty()) {
      const auto found = lexicon.find(tokenizer.decode(words[w]));
      hide = found != lexicon.end() &&
             std::find(kinds.begin(), kinds.end(), found->second) != kinds.end();
    }
    if (hide) places.push_back(static_cast<int64_t>(w));
  }
  if (places.empty() && !words.empty()) places.push_back(0);
  return places;
}

std::string filled_captions(const Shown& shown, const HeldOut& samples,
                            const std::map<std::string, std::string>& lexicon,
                            const std::vector<std::string>& kinds) {
  std::string out;
  const size_t n = samples.texts.size();
  const int64_t longest = shown.recipe.data.max_text - 2;
  for (size_t i = 0; i < n; ++i) {
    const std::string& text = samples.texts[i];
    const std::vector<int64_t> ids = shown.tokenizer.encode(text);
    if (ids.empty() || static_cast<int64_t>(ids.size()) > longest) continue;
    const auto hidden = words_to_hide(shown.tokenizer, text, lexicon, kinds);
    const FilledCaption right =
        fill_caption(shown.model, shown.tokenizer, model_pixels(shown.recipe, samples.pictures[i]),
                     text, hidden);
    out += format("{}\n  masked         {}\n  its picture    {}\n", i, right.masked, right.filled);
    if (n > 1) {
      const size_t other = (i + 1) % n;
      const FilledCaption wrong =
          fill_caption(shown.model, shown.tokenizer,
                       model_pixels(shown.recipe, samples.pictures[other]), text, hidden);
      out += format("  wrong picture  {}   (picture {})\n", wrong.filled, other);
    }
    out += format("  truth          {}\n", right.truth);
  }
  return out;
}

}  // namespace tessera::beit3::cli
