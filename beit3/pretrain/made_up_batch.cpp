#include "beit3/pretrain/made_up_batch.h"

#include <algorithm>
#include <numeric>

#include "beit3/data/masking.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

constexpr int64_t kFirstId = 4;  // those before are special

class Maker {
 public:
  explicit Maker(const ModelConfig& config) : config_(config) {}

  PretrainBatch make(const BatchSizes& sizes) {
    const int64_t total = sizes.texts + sizes.pairs;
    std::vector<int64_t> pair_lengths, text_lengths, hidden;
    for (int64_t i = 0; i < total; ++i) {
      const bool pair = i < sizes.pairs;
      const int64_t length = 8 + i * 56 / std::max<int64_t>(total - 1, 1);
      (pair ? pair_lengths : text_lengths).push_back(length);
      (pair ? batch_.pair_words : batch_.text_words) +=
          add_text(length, pair ? 0.5 : 0.15, RandomKey{9}.fold(static_cast<uint64_t>(i)), hidden);
    }
    batch_.layout = PackedLayout(sizes.images, pair_lengths, text_lengths, config_.image_rows());
    for (int64_t i = 0; i < batch_.layout.image_count(); ++i) add_mask(i);
    list_hidden(batch_, hidden);
    batch_.pixels.resize(static_cast<size_t>(batch_.layout.image_count() * 3 * config_.image_size *
                                             config_.image_size));
    for (float& v : batch_.pixels) v = static_cast<float>(random_.uniform(-1, 1));
    return std::move(batch_);
  }

 private:
  int64_t id() { return kFirstId + random_.integer(config_.text_rows - kFirstId); }

  /// Appends the places of the hidden ids to `hidden`; returns how many.
  int64_t add_text(int64_t length, double ratio, RandomKey key, std::vector<int64_t>& hidden) {
    std::vector<int64_t> inner(static_cast<size_t>(length - 2));
    std::iota(inner.begin(), inner.end(), int64_t{1});
    const std::vector<int64_t> chosen = text_mask(inner, ratio, key);
    for (int64_t j : chosen) {
      hidden.push_back(static_cast<int64_t>(batch_.ids.size()) + j);
      batch_.word_labels.push_back(id());
    }
    for (int64_t j = 0; j < length; ++j) batch_.ids.push_back(id());
    return static_cast<int64_t>(chosen.size());
  }

  void add_mask(int64_t i) {
    const std::vector<uint8_t> mask = block_mask({.rows = config_.grid(),
                                                  .columns = config_.grid(),
                                                  .masked = mask_count(config_.patches(), 0.4),
                                                  .min_block = 1,
                                                  .max_block = 6},
                                                 RandomKey{5}.fold(static_cast<uint64_t>(i)));
    batch_.masked.insert(batch_.masked.end(), mask.begin(), mask.end());
  }

  const ModelConfig& config_;
  PretrainBatch batch_;
  RandomStream random_{RandomKey{7}};
};

}  // namespace

PretrainBatch made_up_batch(const ModelConfig& config, const BatchSizes& sizes) {
  check<ValueError>(config.text_rows > kFirstId,
                    "made-up batch: {} text rows; expected more than {}", config.text_rows,
                    kFirstId);
  return Maker(config).make(sizes);
}

std::vector<int64_t> made_up_codes(const ModelConfig& config, const PretrainBatch& batch) {
  RandomStream random(RandomKey{3});
  std::vector<int64_t> codes(batch.masked.size());
  for (int64_t& c : codes) c = random.integer(config.codes);
  return codes;
}

}  // namespace tessera::beit3
