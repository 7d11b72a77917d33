#include <algorithm>

#include "autograd/grad_mode.h"
#include "beit3/data/masking.h"
#include "beit3/image/draw.h"
#include "beit3/image/transform.h"
#include "beit3/pretrain/evaluate.h"
#include "beit3/pretrain/heads_internal.h"
#include "beit3/vqkd/vqkd.h"
#include "tensor/ops/creation.h"

namespace tessera::beit3 {
namespace {

/// The words of a text, with [..] around the hidden ones. Words are cut as in the true text
/// (an answer may be cut differently) and spelled by `ids`, hidden ones as [?] without any.
std::string marked(const Tokenizer& tokenizer, const std::vector<int64_t>& truth,
                   const std::vector<int64_t>& hidden, const std::vector<int64_t>* ids) {
  std::string out;
  int64_t w = 0;
  for (const auto& [begin, end] : words_of(tokenizer, truth)) {
    const bool in_question = std::find(hidden.begin(), hidden.end(), w++) != hidden.end();
    const std::vector<int64_t>& from = ids != nullptr ? *ids : truth;
    std::string word = tokenizer.decode(std::vector(from.begin() + begin, from.begin() + end));
    if (word.empty()) word = "<unk>";  // what the tokenizer has no piece for
    if (in_question) word = ids != nullptr ? "[" + word + "]" : "[?]";
    out += (out.empty() ? "" : " ") + word;
  }
  return out;
}

}  // namespace

FilledCaption fill_caption(const PretrainModel& model, const Tokenizer& tokenizer,
                           const std::vector<float>& picture, const std::string& text,
                           const std::vector<int64_t>& hidden) {
  const std::vector<int64_t> content = tokenizer.encode(text);
  const MaskedText masked =
      hide_chosen(tokenizer, content, model.config().text_positions - 2, hidden);
  TextBatch batch(model.config());
  batch.add(masked, picture.empty() ? nullptr : &picture);
  const std::vector<int64_t> best = batch.best_ids(model);
  std::vector<int64_t> filled = content;
  size_t at = 0;
  for (const HiddenWord& word : masked.hidden) {
    for (size_t k = 0; k < word.ids.size(); ++k) {
      filled[static_cast<size_t>(word.begin) - 1 + k] = best[at++];
    }
  }
  return {marked(tokenizer, content, hidden, nullptr), marked(tokenizer, content, hidden, &filled),
          marked(tokenizer, content, hidden, &content)};
}

FilledPicture fill_picture(const PretrainModel& model, const Vqkd& vq, const Image& picture,
                           const PretrainRecipe& recipe, RandomKey key) {
  const NoGrad silent;
  const ModelConfig& config = model.config();
  const int64_t side = config.image_size, grid = config.grid(), patch = config.patch;
  AugmentSpec spec;
  spec.side = spec.second_side = side;
  spec.framing = Framing::stretch;
  spec.flip_probability = 0;
  const AugmentedView view = augment(picture, spec, {});
  const std::vector<uint8_t> mask =
      block_mask({.rows = grid,
                  .columns = grid,
                  .masked = mask_count(grid * grid, recipe.image_mask),
                  .min_block = recipe.min_block,
                  .max_block = recipe.max_block},
                 key);
  PictureBatch batch(config);
  batch.add(view.pixels, mask);
  const std::vector<int64_t> best = batch.best_codes(model);
  const std::vector<int64_t> truth =
      vq.encode(from_data(view.second_pixels, {1, 3, side, side})).to_vector<int64_t>();
  std::vector<int64_t> codes = truth;
  size_t at = 0;
  for (size_t p = 0; p < mask.size(); ++p) {
    if (mask[p]) codes[p] = best[at++];
  }
  const int64_t n = grid * grid;
  auto picture_of = [&](const std::vector<int64_t>& c) {
    const Tensor pixels = vq.decode_pixels(from_data(c, {n}));
    const std::vector<float> values = pixels.to_vector<float>();
    return from_floats(values.data(), side, side);
  };
  FilledPicture result;
  result.picture = from_floats(view.second_pixels.data(), side, side);
  result.masked = hide_patches(result.picture, mask, patch);
  result.limit = picture_of(truth);
  // What was visible stays as it was; masked patches come from the predicted codes.
  const Image decoded = picture_of(codes);
  result.filled = result.picture;
  for (int64_t y = 0; y < side; ++y) {
    for (int64_t x = 0; x < side; ++x) {
      if (!mask[static_cast<size_t>(y / patch * grid + x / patch)]) continue;
      const size_t i = static_cast<size_t>((y * side + x) * 3);
      std::copy_n(decoded.rgb.begin() + static_cast<std::ptrdiff_t>(i), 3,
                  result.filled.rgb.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  return result;
}

}  // namespace tessera::beit3
