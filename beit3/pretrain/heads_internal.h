#pragma once

#include <vector>

#include "beit3/model/model.h"
#include "beit3/pretrain/words_internal.h"

namespace tessera::beit3 {

/// Masked pictures, to be completed without any loss.
class PictureBatch {
 public:
  explicit PictureBatch(const ModelConfig& config) : config_(config) {}
  /// pixels (3, S, S) as the model takes them; mask: N bytes.
  void add(const std::vector<float>& pixels, const std::vector<uint8_t>& mask);
  /// The likeliest code of every masked patch, in order.
  std::vector<int64_t> best_codes(const PretrainModel& model) const;

 private:
  const ModelConfig& config_;
  std::vector<float> pixels_;
  std::vector<uint8_t> masked_;
};

/// Masked texts, each with or without a picture.
class TextBatch {
 public:
  explicit TextBatch(const ModelConfig& config) : config_(config) {}
  /// `picture`: (3, S, S) as the model takes it; null: the text alone.
  void add(const MaskedText& text, const std::vector<float>* picture);
  /// The likeliest id of every masked piece, in the order of `add`.
  std::vector<int64_t> best_ids(const PretrainModel& model) const;

 private:
  struct Item {
    MaskedText text;
    const std::vector<float>* picture;
  };
  const ModelConfig& config_;
  std::vector<Item> items_;
};

}  // namespace tessera::beit3
