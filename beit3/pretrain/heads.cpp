#include <algorithm>

#include "autograd/grad_mode.h"
#include "beit3/pretrain/batch.h"
#include "beit3/pretrain/heads_internal.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/reduce.h"

namespace tessera::beit3 {
namespace {

std::vector<int64_t> best_of(const Tensor& rows, const Tensor& weight, const Tensor& bias) {
  return argmax(linear(rows, weight, bias), 1).to_vector<int64_t>();
}

}  // namespace

void PictureBatch::add(const std::vector<float>& pixels, const std::vector<uint8_t>& mask) {
  pixels_.insert(pixels_.end(), pixels.begin(), pixels.end());
  masked_.insert(masked_.end(), mask.begin(), mask.end());
}

std::vector<int64_t> PictureBatch::best_codes(const PretrainModel& model) const {
  const NoGrad silent;
  PretrainBatch batch;
  batch.pixels = pixels_;
  batch.masked = masked_;
  batch.layout = PackedLayout(static_cast<int64_t>(masked_.size()) / config_.patches(), {}, {},
                              config_.image_rows());
  list_hidden(batch, {});
  if (batch.keep.empty()) return {};
  const Tensor rows = model.beit3(packed_input(batch, config_), {}, &batch.keep);
  return best_of(rows, model.mim_weight, model.mim_bias);
}

void TextBatch::add(const MaskedText& text, const std::vector<float>* picture) {
  items_.push_back({text, picture});
}

std::vector<int64_t> TextBatch::best_ids(const PretrainModel& model) const {
  const NoGrad silent;
  // Packed order: texts with pictures first. Answers go back to the order of `add`.
  std::vector<size_t> order(items_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_partition(order.begin(), order.end(),
                        [&](size_t i) { return items_[i].picture != nullptr; });
  PretrainBatch batch;
  std::vector<int64_t> pair_lengths, text_lengths;
  std::vector<std::vector<int64_t>> rows_of(items_.size());
  for (size_t i : order) {
    const Item& item = items_[i];
    if (item.picture != nullptr) {
      batch.pixels.insert(batch.pixels.end(), item.picture->begin(), item.picture->end());
    }
    (item.picture ? pair_lengths : text_lengths)
        .push_back(static_cast<int64_t>(item.text.ids.size()));
    for (const HiddenWord& word : item.text.hidden) {
      for (size_t k = 0; k < word.ids.size(); ++k) {
        rows_of[i].push_back(static_cast<int64_t>(batch.ids.size()) + word.begin +
                             static_cast<int64_t>(k));
      }
    }
    batch.ids.insert(batch.ids.end(), item.text.ids.begin(), item.text.ids.end());
  }
  batch.layout = PackedLayout(0, pair_lengths, text_lengths, config_.image_rows());
  batch.masked.assign(pair_lengths.size() * static_cast<size_t>(config_.patches()), 0);
  for (size_t i : order) {
    for (int64_t row : rows_of[i]) batch.keep.push_back(batch.layout.vision_rows() + row);
  }
  if (batch.keep.empty()) return {};
  const Tensor rows = model.beit3(packed_input(batch, config_), {}, &batch.keep);
  const std::vector<int64_t> best = best_of(rows, model.mlm_weight, model.mlm_bias);
  std::vector<size_t> begin(items_.size());
  size_t at = 0;
  for (size_t i : order) {
    begin[i] = at;
    at += rows_of[i].size();
  }
  std::vector<int64_t> answers;
  for (size_t i = 0; i < items_.size(); ++i) {
    const auto first = best.begin() + static_cast<std::ptrdiff_t>(begin[i]);
    answers.insert(answers.end(), first, first + static_cast<std::ptrdiff_t>(rows_of[i].size()));
  }
  return answers;
}

}  // namespace tessera::beit3
