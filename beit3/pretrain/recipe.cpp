#include "beit3/pretrain/recipe.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

/// A number as the shortest text that reads back as itself.
std::string number_text(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string text(buffer, end);
  const bool whole = text.find_first_of(".en") == std::string::npos;
  return whole ? text + ".0" : text;
}

std::string in_quotes(std::string_view value) {
  std::string out = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04X", static_cast<unsigned>(c));
      out += code;
    } else {
      out += c;
    }
  }
  return out + '"';
}

struct Setter final : RecipeVisitor {
  std::string_view wanted, text;
  bool found = false;
  std::vector<std::string> names;

  Setter(std::string_view w, std::string_view t) : wanted(w), text(t) {}

  bool is(std::string_view name) {
    names.emplace_back(name);
    if (name != wanted) return false;
    return found = true;
  }
  template <class T>
  void parse(std::string_view name, T& value, std::string_view kind) {
    if (!is(name)) return;
    T parsed{};
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, parsed);
    check<ValueError>(result.ec == std::errc() && result.ptr == end, "{}: \"{}\" is no {}", name,
                      text, kind);
    value = parsed;
  }
  void operator()(std::string_view n, int64_t& v, std::string_view) override {
    parse(n, v, "whole number");
  }
  void operator()(std::string_view n, uint64_t& v, std::string_view) override {
    parse(n, v, "whole number >= 0");
  }
  void operator()(std::string_view n, double& v, std::string_view) override {
    parse(n, v, "number");
  }
  void operator()(std::string_view n, bool& v, std::string_view) override {
    if (!is(n)) return;
    check<ValueError>(text == "true" || text == "false", "{}: \"{}\" is neither true nor false", n,
                      text);
    v = text == "true";
  }
  void operator()(std::string_view n, std::string& v, std::string_view) override {
    if (is(n)) v = text;
  }
};

struct Field {
  std::string name, value, help;
  bool text;
};
struct Reader final : RecipeVisitor {
  std::vector<Field> fields;
  void add(std::string_view n, std::string value, std::string_view h, bool text = false) {
    fields.push_back({std::string(n), std::move(value), std::string(h), text});
  }
  void operator()(std::string_view n, int64_t& v, std::string_view h) override {
    add(n, std::to_string(v), h);
  }
  void operator()(std::string_view n, uint64_t& v, std::string_view h) override {
    add(n, std::to_string(v), h);
  }
  void operator()(std::string_view n, double& v, std::string_view h) override {
    add(n, number_text(v), h);
  }
  void operator()(std::string_view n, bool& v, std::string_view h) override {
    add(n, v ? "true" : "false", h);
  }
  void operator()(std::string_view n, std::string& v, std::string_view h) override {
    add(n, v, h, true);
  }
};

Reader read_fields(const PretrainRecipe& recipe) {
  PretrainRecipe copy = recipe;
  Reader reader;
  visit_fields(copy, reader);
  return reader;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

void visit_fields(PretrainRecipe& r, RecipeVisitor& v) {
  std::string init(to_string(r.model.init)), form(to_string(r.model.form));
  v("model.name", r.model.name, "label of the sizes below");
  v("model.form", form, "released (experts A and B everywhere) or paper (V, L and VL)");
  r.model.form = form_from(form);
  v("model.width", r.model.width, "hidden size");
  v("model.layers", r.model.layers, "encoder layers");
  v("model.heads", r.model.heads, "attention heads");
  v("model.ffn", r.model.ffn, "inner size of the feed-forward networks");
  v("model.vl_layers", r.model.vl_layers, "paper form: top layers with an expert for pairs");
  v("model.image_size", r.model.image_size, "side of the input picture, pixels");
  v("model.patch", r.model.patch, "side of a patch, pixels");
  v("model.text_positions", r.model.text_positions, "rows of the text position table");
  v("model.drop_path", r.model.drop_path, "stochastic depth, rate of the last layer");
  v("model.init", init, "scaled, paper or official");
  r.model.init = init_from(init);
  v("data.images", r.data.images, "pictures alone: folder, tar or JSONL");
  v("data.pairs", r.data.pairs, "pictures with captions: folder or JSONL");
  v("data.texts", r.data.texts, "texts alone: one a line, TSV or JSONL");
  v("data.split", r.data.split, "split that is trained on, where a source has several");
  v("data.held_out", r.data.held_out, "pairs or pictures for evaluation");
  v("data.held_out_texts", r.data.held_out_texts, "texts for evaluation");
  v("data.held_out_split", r.data.held_out_split, "split for evaluation: heldout, val, test, …");
  v("data.augment", r.data.augment, "random resized crops");
  v("data.min_crop", r.data.min_crop, "smallest share of the area a crop keeps");
  v("data.flip", r.data.flip, "probability of a flip; 0 where captions speak of sides");
  v("data.jitter", r.data.jitter, "strength of colour jitter");
  v("data.max_text", r.data.max_text, "longest text in ids, <s> and </s> included");
  v("data.cache_mb", r.data.cache_mb, "decoded pictures kept in memory, MB");
  v("data.threads", r.data.threads, "threads that prepare batches ahead");
  v("tokenizer.text", r.text_tokenizer, "SentencePiece .model file");
  v("tokenizer.image", r.image_tokenizer, "file of `beit3 vq train`");
  v("train.steps", r.steps, "optimizer steps");
  v("train.images", r.images, "pictures alone in a step");
  v("train.texts", r.texts, "texts alone in a step");
  v("train.pairs", r.pairs, "pairs in a step");
  v("train.accumulate", r.accumulate, "pieces a step's batch is cut into");
  v("train.seed", r.seed, "decides every draw");
  v("train.dtype", r.dtype, "activations: f32 or bf16");
  v("train.recompute", r.recompute, "run layers twice, keep less");
  v("train.update_in_backward", r.update_in_backward,
    "keep no gradients; needs optim.clip and muon_lr 0");
  v("train.overfit", r.overfit, "use only so many samples of each kind; 0: all");
  v("mask.image", r.image_mask, "share of patches hidden in pictures alone");
  v("mask.text", r.text_mask, "share of ids hidden in texts alone");
  v("mask.pair_text", r.pair_text_mask, "share of ids hidden in pairs");
  v("mask.pair_image", r.pair_image_mask, "share of patches hidden in pairs");
  v("mask.min_block", r.min_block, "smallest masked block, patches");
  v("mask.max_block", r.max_block, "largest masked block, patches; 0: no limit");
  v("loss.image", r.image_weight, "how much patches of pictures alone count");
  v("loss.text", r.text_weight, "how much words of texts alone count");
  v("loss.pair_text", r.pair_text_weight, "how much words of pairs count");
  v("loss.pair_image", r.pair_image_weight, "how much patches of pairs count");
  v("loss.code_power", r.code_power, "a code of frequency f weighs f^-power");
  v("loss.word_power", r.word_power, "a word of frequency f weighs f^-power");
  v("optim.lr", r.lr, "peak learning rate");
  v("optim.min_lr_share", r.min_lr_share, "share of it at the end of the cosine");
  v("optim.warmup", r.warmup, "steps of linear warm-up");
  v("optim.beta1", r.beta1, "AdamW");
  v("optim.beta2", r.beta2, "AdamW");
  v("optim.eps", r.eps, "AdamW");
  v("optim.muon_lr", r.muon_lr, "peak rate of Muon, for the layers' matrices; 0: AdamW for all");
  v("optim.muon_momentum", r.muon_momentum, "Muon");
  v("optim.weight_decay", r.weight_decay, "of matrices; norms and biases have none");
  v("optim.clip", r.clip, "largest gradient norm; 0: no clipping");
  v("optim.average_decay", r.average_decay, "moving average of the weights; 0: none");
  v("log.every", r.log_every, "steps between plain log lines");
  v("log.save_every", r.save_every, "steps between checkpoints; 0: at the end only");
  v("log.eval_every", r.eval_every, "steps between held-out evaluations; 0: at the end only");
  v("log.sheet_every", r.sheet_every, "steps between sample sheets; 0: at the end only");
  v("log.keep", r.keep, "checkpoints kept");
}

void validate(const PretrainRecipe& r) {
  validate(r.model);
  auto at_least = [](std::string_view name, int64_t value, int64_t low) {
    check<ValueError>(value >= low, "{} is {}; it must be at least {}", name, value, low);
  };
  auto share = [](std::string_view name, double value) {
    check<ValueError>(value >= 0 && value <= 1, "{} is {}; expected 0 … 1", name, value);
  };
  at_least("train.steps", r.steps, 1);
  at_least("train.images", r.images, 0);
  at_least("train.texts", r.texts, 0);
  at_least("train.pairs", r.pairs, 0);
  check<ValueError>(r.images + r.texts + r.pairs > 0,
                    "train.images, train.texts and train.pairs are all 0: a step would be empty");
  at_least("train.accumulate", r.accumulate, 1);
  check<ValueError>(r.dtype == "f32" || r.dtype == "bf16",
                    "train.dtype is \"{}\"; expected f32 or bf16", r.dtype);
  share("mask.image", r.image_mask);
  share("mask.text", r.text_mask);
  share("mask.pair_text", r.pair_text_mask);
  share("mask.pair_image", r.pair_image_mask);
  for (const auto& [name, weight] : {std::pair("loss.image", r.image_weight),
                                     {"loss.text", r.text_weight},
                                     {"loss.pair_text", r.pair_text_weight},
                                     {"loss.pair_image", r.pair_image_weight}}) {
    check<ValueError>(weight >= 0 && weight <= 1e6, "{} is {}; expected 0 … 1,000,000", name,
                      weight);
  }
  share("loss.code_power", r.code_power);
  share("loss.word_power", r.word_power);
  at_least("mask.min_block", r.min_block, 1);
  at_least("mask.max_block", r.max_block, 0);
  check<ValueError>(r.lr > 0, "optim.lr is {}; it must be positive", r.lr);
  share("optim.min_lr_share", r.min_lr_share);
  at_least("optim.warmup", r.warmup, 0);
  check<ValueError>(r.beta1 >= 0 && r.beta1 < 1 && r.beta2 >= 0 && r.beta2 < 1,
                    "optim.beta1, optim.beta2 are {}, {}; expected 0 … 1, without 1", r.beta1,
                    r.beta2);
  check<ValueError>(r.eps > 0, "optim.eps is {}; it must be positive", r.eps);
  check<ValueError>(r.muon_lr >= 0, "optim.muon_lr is {}; it must not be negative", r.muon_lr);
  check<ValueError>(r.muon_momentum >= 0 && r.muon_momentum < 1,
                    "optim.muon_momentum is {}; expected 0 … 1, without 1", r.muon_momentum);
  check<ValueError>(r.weight_decay >= 0, "optim.weight_decay is {}; it must not be negative",
                    r.weight_decay);
  check<ValueError>(r.clip >= 0, "optim.clip is {}; it must not be negative", r.clip);
  check<ValueError>(!r.update_in_backward || (r.clip == 0 && r.muon_lr == 0),
                    "train.update_in_backward: optim.clip is {} and optim.muon_lr is {}, but both "
                    "look at all gradients together; set them to 0, or leave it out",
                    r.clip, r.muon_lr);
  check<ValueError>(r.average_decay >= 0 && r.average_decay < 1,
                    "optim.average_decay is {}; expected 0 … 1, without 1", r.average_decay);
  check<ValueError>(r.data.max_text >= 3 && r.data.max_text <= r.model.text_positions - 2,
                    "data.max_text is {}; expected 3 … {} (model.text_positions less 2)",
                    r.data.max_text, r.model.text_positions - 2);
  share("data.flip", r.data.flip);
  check<ValueError>(r.data.min_crop > 0 && r.data.min_crop <= 1,
                    "data.min_crop is {}; expected above 0, up to 1", r.data.min_crop);
  at_least("data.threads", r.data.threads, 0);
  at_least("data.cache_mb", r.data.cache_mb, 0);
  at_least("log.every", r.log_every, 1);
  at_least("log.save_every", r.save_every, 0);
  at_least("log.eval_every", r.eval_every, 0);
  at_least("log.sheet_every", r.sheet_every, 0);
  at_least("log.keep", r.keep, 1);
}

void set_field(PretrainRecipe& recipe, std::string_view name, std::string_view value) {
  Setter setter(name, value);
  visit_fields(recipe, setter);
  if (setter.found) return;
  const std::string near = nearest_word(name, setter.names);
  fail<ValueError>("\"{}\" is no configuration key{}", name,
                   near.empty() ? std::string("; `beit3 config show` lists them")
                                : "; did you mean \"" + near + "\"?");
}

std::vector<std::pair<std::string, std::string>> field_values(const PretrainRecipe& recipe) {
  std::vector<std::pair<std::string, std::string>> all;
  for (Field& f : read_fields(recipe).fields) all.emplace_back(f.name, f.value);
  return all;
}

std::string to_toml(const PretrainRecipe& recipe) {
  std::string out, section;
  for (const Field& f : read_fields(recipe).fields) {
    const size_t dot = f.name.find('.');
    const std::string head = f.name.substr(0, dot), key = f.name.substr(dot + 1);
    if (head != section) {
      out += (out.empty() ? "[" : "\n[") + head + "]\n";
      section = head;
    }
    std::string line = key + " = " + (f.text ? in_quotes(f.value) : f.value);
    line.resize(std::max<size_t>(line.size() + 2, 36), ' ');
    out += line + "# " + f.help + "\n";
  }
  return out;
}

std::string nearest_word(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(word.size() / 2, 2) + 1;
  for (const std::string& candidate : known) {
    size_t distance = edit_distance(word, candidate);
    const size_t dot = candidate.find('.');
    if (dot != std::string::npos) {  // the section may have been forgotten
      distance = std::min(distance, edit_distance(word, candidate.substr(dot + 1)) + 1);
    }
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace tessera::beit3
