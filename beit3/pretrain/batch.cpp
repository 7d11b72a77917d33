#include "beit3/pretrain/batch.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "beit3/data/masking.h"
#include "beit3/image/transform.h"
#include "tensor/ops/creation.h"

namespace tessera::beit3 {
namespace {

// Sub-streams of the run's key. Each draw's key names its purpose, step and place.
enum Stream : uint64_t { kOrderImages = 1, kOrderTexts, kOrderPairs, kCrop, kMask };
// Kinds of sequences, for keys and sample numbers.
enum Kind : uint64_t { kImage, kText, kPair };

uint64_t mix(uint64_t hash, uint64_t value) { return RandomKey{hash}.fold(value).value; }

uint64_t mix(uint64_t hash, std::string_view text) {
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return mix(hash, text.size());
}

AugmentSpec augment_spec(const PretrainRecipe& r) {
  AugmentSpec spec;
  spec.side = r.model.image_size;
  spec.second_side = r.model.image_size;
  spec.flip_probability = r.data.flip;
  spec.jitter = {r.data.jitter, r.data.jitter, r.data.jitter};
  spec.min_scale = r.data.min_crop;
  spec.framing = r.data.augment ? Framing::random_crop : Framing::stretch;
  return spec;
}

/// Share `piece` of `n` things cut into `pieces` parts of nearly equal size.
std::pair<int64_t, int64_t> part(int64_t n, int64_t piece, int64_t pieces) {
  return {n * piece / pieces, n * (piece + 1) / pieces};
}

/// Fills one batch, sequence by sequence.
class Builder {
 public:
  Builder(const PretrainData& data, int64_t step)
      : data_(data),
        recipe_(data.recipe()),
        step_(step),
        spec_(augment_spec(recipe_)),
        key_(RandomKey{recipe_.seed}) {
    batch_.step = step;
  }

  PretrainBatch build(int64_t piece) {
    const int64_t pieces = recipe_.accumulate;
    const auto [image_begin, image_end] = part(recipe_.images, piece, pieces);
    const auto [pair_begin, pair_end] = part(recipe_.pairs, piece, pieces);
    const auto [text_begin, text_end] = part(recipe_.texts, piece, pieces);
    for (int64_t i = image_begin; i < image_end; ++i) add_image(data_.images(), kImage, i);
    std::vector<int64_t> pair_records;  // a broken picture may have been passed over
    for (int64_t i = pair_begin; i < pair_end; ++i) {
      pair_records.push_back(add_image(data_.pairs(), kPair, i));
    }
    for (int64_t i = pair_begin; i < pair_end; ++i) {
      const std::vector<int64_t>& usable = data_.pairs().usable;
      const int64_t record = pair_records[static_cast<size_t>(i - pair_begin)];
      const auto place = std::lower_bound(usable.begin(), usable.end(), record) - usable.begin();
      add_text(data_.pairs(), kPair, i, place, recipe_.pair_text_mask, pair_lengths_);
    }
    for (int64_t i = text_begin; i < text_end; ++i) {
      const int64_t place = data_.texts().order->at(position(kText, i));
      add_text(data_.texts(), kText, i, place, recipe_.text_mask, text_lengths_);
    }
    batch_.layout = PackedLayout(image_end - image_begin, pair_lengths_, text_lengths_,
                                 recipe_.model.image_rows());
    list_hidden(batch_, masked_words_);
    return std::move(batch_);
  }

 private:
  int64_t position(Kind kind, int64_t i) const {
    const int64_t n = kind == kImage  ? recipe_.images
                      : kind == kText ? recipe_.texts
                                      : recipe_.pairs;
    return step_ * n + i;
  }
  RandomKey key(Stream stream, Kind kind, int64_t i) const {
    return key_.fold(stream).fold(kind).fold(static_cast<uint64_t>(position(kind, i)));
  }

  /// Returns the record whose picture it was.
  int64_t add_image(const PretrainData::Source& source, Kind kind, int64_t i) {
    const ReadSample sample =
        read_sample(*source.reader, *source.order, position(kind, i), &source.usable);
    const AugmentedView view = augment(*sample.image, spec_, key(kCrop, kind, i));
    batch_.pixels.insert(batch_.pixels.end(), view.pixels.begin(), view.pixels.end());
    batch_.tokenizer_pixels.insert(batch_.tokenizer_pixels.end(), view.second_pixels.begin(),
                                   view.second_pixels.end());
    const double ratio = kind == kImage ? recipe_.image_mask : recipe_.pair_image_mask;
    const int64_t grid = recipe_.model.grid();
    const std::vector<uint8_t> mask =
        block_mask({.rows = grid,
                    .columns = grid,
                    .masked = ratio > 0 ? mask_count(grid * grid, ratio) : 0,
                    .min_block = recipe_.min_block,
                    .max_block = recipe_.max_block},
                   key(kMask, kind, i));
    batch_.masked.insert(batch_.masked.end(), mask.begin(), mask.end());
    batch_.samples.push_back(static_cast<int64_t>(kind) << 40 | sample.record);
    return sample.record;
  }

  /// `place` of the text among the source's usable records.
  void add_text(const PretrainData::Source& source, Kind kind, int64_t i, int64_t place,
                double ratio, std::vector<int64_t>& lengths) {
    std::vector<int64_t> ids = source.ids[static_cast<size_t>(place)];
    const RandomKey mask_key = key(kMask, kind, i).fold(1);
    shorten(ids, mask_key);
    std::vector<int64_t> eligible;
    for (size_t j = 1; j + 1 < ids.size(); ++j) eligible.push_back(static_cast<int64_t>(j));
    for (int64_t j : text_mask(eligible, ratio, mask_key)) {
      masked_words_.emplace_back(static_cast<int64_t>(batch_.ids.size()) + j);
      batch_.word_labels.push_back(ids[static_cast<size_t>(j)]);
      ids[static_cast<size_t>(j)] = data_.tokenizer().mask_id();
      ++(kind == kPair ? batch_.pair_words : batch_.text_words);
    }
    lengths.push_back(static_cast<int64_t>(ids.size()));
    batch_.ids.insert(batch_.ids.end(), ids.begin(), ids.end());
    if (kind == kText) batch_.samples.push_back(static_cast<int64_t>(kind) << 40 | place);
  }

  /// A text longer than the limit gives a window of it, drawn anew each time.
  void shorten(std::vector<int64_t>& ids, RandomKey mask_key) const {
    const int64_t room = recipe_.data.max_text - 2;
    const int64_t content = static_cast<int64_t>(ids.size()) - 2;
    if (content <= room) return;
    RandomStream stream(mask_key.fold(2));
    const int64_t begin = 1 + stream.integer(content - room + 1);
    std::vector<int64_t> window{ids.front()};
    window.insert(window.end(), ids.begin() + begin, ids.begin() + begin + room);
    window.push_back(ids.back());
    ids = std::move(window);
  }

  const PretrainData& data_;
  const PretrainRecipe& recipe_;
  int64_t step_;
  AugmentSpec spec_;
  RandomKey key_;
  PretrainBatch batch_;
  std::vector<int64_t> pair_lengths_, text_lengths_, masked_words_;
};

}  // namespace

PretrainData::PretrainData(const PretrainRecipe& recipe, const Tokenizer& tokenizer)
    : recipe_(recipe), tokenizer_(tokenizer) {
  auto wanted = [](std::string_view key, int64_t count, const std::string& path) {
    check<ValueError>(count == 0 || !path.empty(),
                      "train.{} is {}, but data.{} names no source; set it, or set train.{} to 0",
                      key, count, key, key);
    return count > 0;
  };
  if (wanted("images", recipe.images, recipe.data.images)) {
    images_ = open("images", recipe.data.images, true, false, kOrderImages);
  }
  if (wanted("texts", recipe.texts, recipe.data.texts)) {
    texts_ = open("texts", recipe.data.texts, false, true, kOrderTexts);
  }
  if (wanted("pairs", recipe.pairs, recipe.data.pairs)) {
    pairs_ = open("pairs", recipe.data.pairs, true, true, kOrderPairs);
  }
  // The readers refer to the data sets where they have come to rest.
  const size_t cache_bytes = static_cast<size_t>(recipe.data.cache_mb) << 19;  // half for each
  for (Source* source : {&images_, &pairs_}) {
    if (source->present())
      source->reader = std::make_unique<ImageReader>(source->data, cache_bytes);
  }
  for (const Source* source : {&images_, &texts_, &pairs_}) {
    fingerprint_ = mix(fingerprint_, source->usable.size());
    for (int64_t r : source->usable) {
      const Record& record = source->data.records[static_cast<size_t>(r)];
      // The name alone, not its folder: data may move between a save and its resume.
      const std::string name = std::filesystem::path(record.image_path).filename().string();
      fingerprint_ = mix(mix(fingerprint_, name), record.text);
    }
  }
}

PretrainData::Source PretrainData::open(std::string_view kind, const std::string& path,
                                        bool needs_image, bool needs_text, uint64_t stream) const {
  Source source;
  source.data = open_dataset(path, {.split = recipe_.data.split});
  for (int64_t i = 0; i < source.data.size(); ++i) {
    const Record& record = source.data.records[static_cast<size_t>(i)];
    if (needs_image && record.image_path.empty()) continue;
    if (needs_text) {
      std::vector<int64_t> content =
          record.text_ids.empty() ? tokenizer_.encode(record.text) : record.text_ids;
      if (content.empty()) continue;
      for (int64_t id : content) {
        check<IoError>(id >= 0 && id < tokenizer_.vocab_size(),
                       "{}: record {} holds id {}, but the tokenizer has {} ids", path, i, id,
                       tokenizer_.vocab_size());
      }
      content.insert(content.begin(), XlmrIds::kBos);
      content.push_back(XlmrIds::kEos);
      source.ids.push_back(std::move(content));
    }
    source.usable.push_back(i);
    if (recipe_.overfit > 0 && static_cast<int64_t>(source.usable.size()) >= recipe_.overfit) break;
  }
  check<IoError>(!source.usable.empty(), "data.{}: {} holds no record with {}{}{}", kind, path,
                 needs_image ? "a picture" : "", needs_image && needs_text ? " and " : "",
                 needs_text ? "a text" : "");
  source.order = std::make_unique<EpochOrder>(static_cast<int64_t>(source.usable.size()),
                                              RandomKey{recipe_.seed}.fold(stream));
  return source;
}

int64_t PretrainData::broken() const {
  int64_t count = 0;
  for (const Source* source : {&images_, &pairs_}) {
    if (source->reader) count += source->reader->broken().count;
  }
  return count;
}

void list_hidden(PretrainBatch& batch, const std::vector<int64_t>& words) {
  const PackedLayout& layout = batch.layout;
  const int64_t patches = layout.image_rows() - 1;
  for (size_t i = 0; i < batch.masked.size(); ++i) {
    if (batch.masked[i] == 0) continue;
    const int64_t patch = static_cast<int64_t>(i), image = patch / patches;
    batch.patch_index.push_back(patch);
    batch.keep.push_back(layout.image_begin(image) + 1 + patch % patches);
    ++(image < layout.images() ? batch.image_patches : batch.pair_patches);
  }
  for (int64_t word : words) batch.keep.push_back(layout.vision_rows() + word);
}

PretrainBatch make_batch(const PretrainData& data, int64_t step, int64_t piece) {
  return Builder(data, step).build(piece);
}

PackedInput packed_input(const PretrainBatch& batch, const ModelConfig& config) {
  PackedInput input{.layout = batch.layout, .images = {}, .masked = {}, .ids = {}};
  const int64_t count = batch.layout.image_count(), side = config.image_size;
  if (count > 0) {
    input.images = from_data(batch.pixels, {count, 3, side, side});
    const int64_t n = static_cast<int64_t>(batch.masked.size());
    input.masked = empty({n}, {.dtype = DType::boolean});
    std::copy(batch.masked.begin(), batch.masked.end(),
              reinterpret_cast<uint8_t*>(input.masked.data<bool>()));
  }
  if (!batch.ids.empty()) {
    input.ids = from_data(batch.ids, {static_cast<int64_t>(batch.ids.size())});
  }
  return input;
}

}  // namespace tessera::beit3
