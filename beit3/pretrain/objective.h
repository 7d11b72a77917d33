#pragma once

#include "beit3/pretrain/batch.h"

namespace tessera::beit3 {

/// What one modality's masked positions say.
struct PartResult {
  int64_t count = 0, correct = 0;
  double loss_sum = 0;
  double loss() const { return count > 0 ? loss_sum / static_cast<double>(count) : 0; }
  double accuracy() const {
    return count > 0 ? static_cast<double>(correct) / static_cast<double>(count) : 0;
  }
  void add(const PartResult& other);
};

struct ObjectiveResult {
  Tensor loss;  ///< scalar, to be differentiated; the sum of the parts' means
  PartResult image, text, pair_text, pair_image;
  std::vector<int64_t> best_codes, best_ids;  ///< the likeliest answers, in the order of `keep`
};

/// How often positions count: with pieces of a batch, the sizes of the whole.
struct PartSizes {
  int64_t image_patches = 0, pair_patches = 0, pair_words = 0, text_words = 0;
};

/// How much each part's mean counts in the sum.
struct PartWeights {
  double image = 1, text = 1, pair_text = 1, pair_image = 1;
};

/// Factor of each target, mean 1 over the masked positions; empty: 1 each.
struct TargetWeights {
  std::vector<float> code, word;
};

/// Masked data modelling on images, texts and pairs in one pass:
///
///   L = mean_images w CE + mean_texts w CE + mean_pair_words w CE + mean_pair_patches w CE
///
/// each of the four with its factor of `weights`, each position with that of its target.
///
/// codes  (image count * N) the image tokenizer's code of every patch; those of the last pictures
///        may be left out if nothing of them is hidden
/// Source: arXiv:2208.10442, section 2.2 (the parts' weights are open there: 1 each).
ObjectiveResult masked_data_modelling(const PretrainModel& model, const PretrainBatch& batch,
                                      const PartSizes& whole, std::span<const int64_t> codes,
                                      const TargetWeights& targets, const Pass& pass,
                                      const PartWeights& weights = {});

/// w(c) = f(c)^-power / sum_c f(c)^(1 - power), from counts; what was never seen counts as seen
/// once. Empty if the power is 0: all weigh the same.
std::vector<float> frequency_weights(std::span<const int64_t> counts, double power);

}  // namespace tessera::beit3
