#include "beit3/pretrain/evaluate.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "autograd/grad_mode.h"
#include "beit3/data/masking.h"
#include "beit3/data/world.h"
#include "beit3/image/transform.h"
#include "beit3/pretrain/heads_internal.h"
#include "beit3/pretrain/words_internal.h"
#include "beit3/vqkd/targets.h"
#include "beit3/vqkd/vqkd.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/reduce.h"

namespace tessera::beit3 {
namespace {

/// The commonest value's share of a list of true answers.
template <class T>
int64_t commonest(const std::map<T, int64_t>& counts) {
  int64_t most = 0;
  for (const auto& [value, n] : counts) most = std::max(most, n);
  return most;
}

/// Code of the nearest visible patch of one picture; ties go to the first in raster order.
int64_t nearest_visible(const std::vector<uint8_t>& mask, std::span<const int64_t> codes,
                        int64_t at, int64_t grid) {
  int64_t best = std::numeric_limits<int64_t>::max(), code = -1;
  for (int64_t p = 0; p < grid * grid; ++p) {
    if (mask[static_cast<size_t>(p)]) continue;
    const int64_t dy = p / grid - at / grid, dx = p % grid - at % grid;
    if (dy * dy + dx * dx < best) {
      best = dy * dy + dx * dx;
      code = codes[static_cast<size_t>(p)];
    }
  }
  return code;
}

/// Patches that the image tokenizer counts as foreground.
std::vector<uint8_t> busy_patches(const std::vector<float>& unit, int64_t side, int64_t patch) {
  std::vector<uint8_t> busy;
  for (int64_t p = 0; p < (side / patch) * (side / patch); ++p) {
    busy.push_back(patch_variance(unit.data(), side, patch, p) > ForegroundRule{}.variance);
  }
  return busy;
}

/// Patches that an object of a drawn scene touches, by its exact masks.
std::vector<uint8_t> object_patches(const Scene& scene, int64_t grid) {
  const int64_t side = scene.image.height;
  std::vector<uint8_t> touched(static_cast<size_t>(grid * grid), 0);
  for (const SceneObject& object : scene.objects) {
    for (int64_t i = 0; i < static_cast<int64_t>(object.mask.size()); ++i) {
      if (object.mask[static_cast<size_t>(i)] == 0) continue;
      const int64_t patch = i / side * grid / side * grid + i % side * grid / side;
      touched[static_cast<size_t>(patch)] = 1;
    }
  }
  return touched;
}

/// Held-out evaluation of one model.
class Evaluator {
 public:
  Evaluator(const PretrainModel& model, const Tokenizer& tokenizer, const Vqkd& vq,
            const PretrainRecipe& recipe, const std::map<std::string, std::string>& lexicon,
            const EvaluationOptions& options)
      : model_(model),
        tokenizer_(tokenizer),
        vq_(vq),
        recipe_(recipe),
        lexicon_(lexicon),
        options_(options) {}

  Evaluation run() {
    const NoGrad silent;
    result_.codes = model_.config().codes;
    result_.chance_code = 1 / static_cast<double>(result_.codes);
    result_.chance_id = 1 / static_cast<double>(tokenizer_.vocab_size());
    if (!recipe_.data.held_out.empty()) {
      data_ = open_dataset(recipe_.data.held_out, {.split = recipe_.data.held_out_split});
      if (is_world(recipe_.data.held_out)) {
        world_ = read_scene_options(recipe_.data.held_out);
        result_.exact_objects = true;
      }
      read_pictures();
      patches();
      pairs();
    }
    if (!recipe_.data.held_out_texts.empty()) texts();
    return result_;
  }

 private:
  void read_pictures() {
    AugmentSpec spec;
    spec.side = spec.second_side = recipe_.model.image_size;
    spec.framing = Framing::stretch;
    spec.flip_probability = 0;
    for (int64_t i = 0; i < data_.size(); ++i) {
      if (options_.samples > 0 && static_cast<int64_t>(views_.size()) >= options_.samples) break;
      if (data_.records[static_cast<size_t>(i)].image_path.empty()) continue;
      try {
        views_.push_back(augment(data_.image(i), spec, {}));
        records_.push_back(i);
      } catch (const IoError& error) {  // passed over, as in training
        if (result_.broken_pictures++ == 0) result_.first_broken = error.what();
      }
    }
    check<IoError>(!views_.empty(), "evaluate: {} holds no readable picture{}{}",
                   recipe_.data.held_out, result_.broken_pictures > 0 ? "; the first: " : "",
                   result_.first_broken);
  }

  int64_t picture_count() const { return static_cast<int64_t>(views_.size()); }

  void advance(int64_t done) const {
    if (options_.progress) options_.progress(done, 2 * picture_count());
  }

  void patches() {
    const int64_t grid = recipe_.model.grid(), n = grid * grid;
    std::map<int64_t, int64_t> all_codes, shape_codes;
    std::vector<char> used(static_cast<size_t>(result_.codes), 0);
    for (int64_t begin = 0; begin < picture_count(); begin += options_.batch) {
      const int64_t end = std::min(begin + options_.batch, picture_count());
      PictureBatch batch(model_.config());
      std::vector<std::vector<uint8_t>> masks;
      for (int64_t i = begin; i < end; ++i) {
        const int64_t count = recipe_.image_mask > 0 ? mask_count(n, recipe_.image_mask) : 1;
        masks.push_back(
            block_mask({.rows = grid,
                        .columns = grid,
                        .masked = count,
                        .min_block = recipe_.min_block,
                        .max_block = recipe_.max_block},
                       RandomKey{options_.seed}.fold(1).fold(static_cast<uint64_t>(i))));
        batch.add(views_[static_cast<size_t>(i)].pixels, masks.back());
      }
      const std::vector<int64_t> best = batch.best_codes(model_);
      const std::vector<int64_t> codes = codes_of(begin, end);
      size_t at = 0;
      for (int64_t i = begin; i < end; ++i) {
        const auto& mask = masks[static_cast<size_t>(i - begin)];
        const std::span<const int64_t> own(codes.data() + (i - begin) * n, static_cast<size_t>(n));
        for (int64_t code : own) used[static_cast<size_t>(code)] = 1;
        const std::vector<uint8_t> touched = touched_patches(i);
        for (int64_t p = 0; p < n; ++p) {
          if (!mask[static_cast<size_t>(p)]) continue;
          const int64_t truth = own[static_cast<size_t>(p)];
          const bool right = best[at++] == truth;
          const bool copied = nearest_visible(mask, own, p, grid) == truth;
          auto count = [&](Score& score, std::map<int64_t, int64_t>& seen) {
            ++score.count;
            score.right += right;
            score.copy += copied;
            ++seen[truth];
          };
          count(result_.patches, all_codes);
          if (touched[static_cast<size_t>(p)]) count(result_.shape_patches, shape_codes);
        }
      }
      advance(end);
    }
    result_.patches.majority = commonest(all_codes);
    result_.shape_patches.majority = commonest(shape_codes);
    result_.codes_used = std::count(used.begin(), used.end(), 1);
  }

  std::vector<int64_t> codes_of(int64_t begin, int64_t end) const {
    const int64_t side = recipe_.model.image_size;
    std::vector<float> pixels;
    for (int64_t i = begin; i < end; ++i) {
      const auto& own = views_[static_cast<size_t>(i)].second_pixels;
      pixels.insert(pixels.end(), own.begin(), own.end());
    }
    return vq_.encode(from_data(pixels, {end - begin, 3, side, side})).to_vector<int64_t>();
  }

  std::vector<uint8_t> touched_patches(int64_t i) const {
    if (world_) {
      const int64_t scene = kFirstHeldOut + records_[static_cast<size_t>(i)];
      return object_patches(make_scene(*world_, scene), recipe_.model.grid());
    }
    return busy_patches(views_[static_cast<size_t>(i)].second_pixels, recipe_.model.image_size,
                        recipe_.model.patch);
  }

  struct Question {
    MaskedText text;
    int64_t picture = -1;
  };

  /// Asks all questions; calls answer(question, word, right).
  template <class F>
  void ask(const std::vector<Question>& questions, int64_t picture_shift, F&& answer) const {
    for (size_t begin = 0; begin < questions.size(); begin += static_cast<size_t>(options_.batch)) {
      const size_t end = std::min(begin + static_cast<size_t>(options_.batch), questions.size());
      TextBatch batch(model_.config());
      for (size_t i = begin; i < end; ++i) {
        const Question& q = questions[i];
        const std::vector<float>* picture = nullptr;
        if (q.picture >= 0) {
          const int64_t shown = (q.picture + picture_shift) % picture_count();
          picture = &views_[static_cast<size_t>(shown)].pixels;
        }
        batch.add(q.text, picture);
      }
      const std::vector<int64_t> best = batch.best_ids(model_);
      size_t at = 0;
      for (size_t i = begin; i < end; ++i) {
        for (const HiddenWord& word : questions[i].text.hidden) {
          bool right = true;
          for (int64_t id : word.ids) right &= best[at++] == id;
          answer(questions[i], word, right);
        }
      }
    }
  }

  std::string kind_of(const HiddenWord& word) const {
    if (lexicon_.empty()) return "word";
    const auto found = lexicon_.find(word.text);
    return found == lexicon_.end() ? "other" : found->second;
  }

  void score_words(const std::vector<Question>& questions, std::map<std::string, Score>& scores) {
    std::map<std::string, std::map<std::string, int64_t>> answers;
    ask(questions, 0, [&](const Question&, const HiddenWord& word, bool right) {
      for (const std::string& kind : {kind_of(word), std::string("all")}) {
        Score& score = scores[kind];
        ++score.count;
        score.right += right;
        ++answers[kind][word.text];
      }
    });
    for (auto& [kind, score] : scores) score.majority = commonest(answers[kind]);
  }

  void pairs() {
    std::vector<Question> questions;
    for (int64_t i = 0; i < picture_count(); ++i) {
      const Record& record = data_.records[static_cast<size_t>(records_[static_cast<size_t>(i)])];
      MaskedText text =
          hide_words(tokenizer_, ids_of(record), recipe_.data.max_text, options_.hidden,
                     RandomKey{options_.seed}.fold(2).fold(static_cast<uint64_t>(i)));
      if (!text.hidden.empty()) questions.push_back({std::move(text), i});
    }
    if (questions.empty()) return;
    score_words(questions, result_.pair_words);
    ask(questions, 1, [&](const Question&, const HiddenWord& word, bool right) {
      result_.pair_words[kind_of(word)].wrong_picture += right;
      result_.pair_words["all"].wrong_picture += right;
    });
    advance(2 * picture_count());
  }

  std::vector<int64_t> ids_of(const Record& record) const {
    return record.text_ids.empty() ? tokenizer_.encode(record.text) : record.text_ids;
  }

  void texts() {
    const DataSet data =
        open_dataset(recipe_.data.held_out_texts, {.split = recipe_.data.held_out_split});
    std::vector<Question> questions;
    for (const Record& record : data.records) {
      if (options_.samples > 0 && static_cast<int64_t>(questions.size()) >= options_.samples) break;
      MaskedText text =
          hide_words(tokenizer_, ids_of(record), recipe_.data.max_text, recipe_.text_mask,
                     RandomKey{options_.seed}.fold(3).fold(static_cast<uint64_t>(record.id)));
      if (!text.hidden.empty()) questions.push_back({std::move(text), -1});
    }
    score_words(questions, result_.text_kinds);
    result_.text_words = result_.text_kinds["all"];
  }

  const PretrainModel& model_;
  const Tokenizer& tokenizer_;
  const Vqkd& vq_;
  const PretrainRecipe& recipe_;
  const std::map<std::string, std::string>& lexicon_;
  const EvaluationOptions& options_;
  DataSet data_;
  std::optional<SceneOptions> world_;  // of a drawn world
  std::vector<int64_t> records_;
  std::vector<AugmentedView> views_;
  Evaluation result_;
};

std::string share_text(const Score& score, int64_t n) {
  if (score.count == 0) return "-";
  const std::string thousandths = std::to_string((1000 * n + score.count / 2) / score.count);
  const std::string padded =
      std::string(thousandths.size() < 3 ? 3 - thousandths.size() : 0, '0') + thousandths;
  return thousandths.size() > 3 ? "1.000" : "." + padded;
}

void add_row(std::string& out, std::string_view name, const std::vector<std::string>& cells) {
  std::string line(name);
  line.resize(std::max<size_t>(line.size(), 30), ' ');
  for (const std::string& cell : cells) {
    line += std::string(cell.size() < 10 ? 10 - cell.size() : 1, ' ') + cell;
  }
  out += line + "\n";
}

void word_rows(std::string& out, std::string_view head, const std::map<std::string, Score>& scores,
               bool pictures) {
  for (const auto& [kind, s] : scores) {
    if (kind == "all" && scores.size() == 2 && scores.contains("word")) continue;
    add_row(out, std::string(head) + kind,
            {share_text(s, s.right), pictures ? share_text(s, s.wrong_picture) : "",
             share_text(s, s.majority), std::to_string(s.count)});
  }
}

std::string score_json(const Score& s) {
  return "{\"count\": " + std::to_string(s.count) + ", \"right\": " + std::to_string(s.right) +
         ", \"majority\": " + std::to_string(s.majority) + ", \"copy\": " + std::to_string(s.copy) +
         ", \"wrong_picture\": " + std::to_string(s.wrong_picture) + "}";
}

std::string map_json(const std::map<std::string, Score>& scores) {
  std::string out = "{";
  for (const auto& [kind, s] : scores) {
    out += (out.size() > 1 ? ", \"" : "\"") + kind + "\": " + score_json(s);
  }
  return out + "}";
}

}  // namespace

void check_held_out(const PretrainRecipe& recipe) {
  const std::string& pairs = recipe.data.held_out;
  if (!pairs.empty()) {
    const DataSet data = open_dataset(pairs, {.split = recipe.data.held_out_split});
    check<IoError>(
        std::any_of(data.records.begin(), data.records.end(),
                    [](const Record& r) { return !r.image_path.empty(); }),
        "data.held_out: {} holds no picture; expected pairs or pictures, texts alone belong to "
        "data.held_out_texts",
        pairs);
    if (is_world(pairs)) read_scene_options(pairs);
  }
  const std::string& texts = recipe.data.held_out_texts;
  if (!texts.empty()) open_dataset(texts, {.split = recipe.data.held_out_split});
}

Evaluation evaluate(const PretrainModel& model, const Tokenizer& tokenizer, const Vqkd& vq,
                    const PretrainRecipe& recipe, const std::map<std::string, std::string>& lexicon,
                    const EvaluationOptions& options) {
  return Evaluator(model, tokenizer, vq, recipe, lexicon, options).run();
}

std::string to_table(const Evaluation& e) {
  std::string out;
  if (e.patches.count > 0) {
    add_row(out, "masked patches of pictures", {"right", "copy", "majority", "patches"});
    for (const auto& [name, s] :
         {std::pair("  all", e.patches),
          std::pair(e.exact_objects ? "  touching an object" : "  with edges or texture",
                    e.shape_patches)}) {
      add_row(out, name,
              {share_text(s, s.right), share_text(s, s.copy), share_text(s, s.majority),
               std::to_string(s.count)});
    }
    add_row(out, "  chance", {format("{}", e.chance_code)});
    add_row(out, "  codes used", {format("{} of {}", e.codes_used, e.codes)});
    if (e.broken_pictures > 0) {
      out += format("  {} broken pictures left out; the first: {}\n", e.broken_pictures,
                    e.first_broken);
    }
  }
  if (!e.pair_words.empty()) {
    add_row(out, "masked words of captions", {"right", "wrong pic", "majority", "words"});
    word_rows(out, "  ", e.pair_words, true);
  }
  if (!e.text_kinds.empty()) {
    add_row(out, "masked words of texts alone", {"right", "", "majority", "words"});
    word_rows(out, "  ", e.text_kinds, false);
  }
  return out;
}

std::string to_json(const Evaluation& e) {
  return "{\"patches\": " + score_json(e.patches) +
         ", \"shape_patches\": " + score_json(e.shape_patches) +
         ", \"exact_objects\": " + (e.exact_objects ? "true" : "false") +
         ", \"pair_words\": " + map_json(e.pair_words) +
         ", \"text_words\": " + map_json(e.text_kinds) +
         ", \"broken_pictures\": " + std::to_string(e.broken_pictures) +
         ", \"codes_used\": " + std::to_string(e.codes_used) +
         ", \"codes\": " + std::to_string(e.codes) + "}";
}

}  // namespace tessera::beit3
