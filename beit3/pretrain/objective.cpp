#include "beit3/pretrain/objective.h"

#include <algorithm>
#include <cmath>

#include "tensor/ops/creation.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {
namespace {

/// Adds rows [begin, end) of a head's answers to a part.
void tally(PartResult& part, const std::vector<double>& loss, const std::vector<int64_t>& best,
           const std::vector<int64_t>& labels, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const size_t k = static_cast<size_t>(i);
    ++part.count;
    part.correct += best[k] == labels[k];
    part.loss_sum += loss[k];
  }
}

/// Rows of a part here, its size in the whole batch, and its weight.
struct Share {
  int64_t rows, whole;
  double weight;
};

/// Factor of each row so that the two parts of a head's rows each count as their weighted mean.
std::vector<double> row_factors(const Share& first, const Share& second) {
  std::vector<double> factors;
  for (const Share& part : {first, second}) {
    factors.insert(factors.end(), static_cast<size_t>(part.rows),
                   part.weight / static_cast<double>(part.whole));
  }
  return factors;
}

/// Each position counts as its target weighs.
void weigh(std::vector<double>& factors, const std::vector<int64_t>& labels,
           std::span<const float> weight) {
  if (weight.empty()) return;
  for (size_t i = 0; i < labels.size(); ++i) {
    factors[i] *= static_cast<double>(weight[static_cast<size_t>(labels[i])]);
  }
}

/// Logits of a head that a step keeps for its backward pass: up to 32 MB in f32. More are computed
/// again there, block by block (a fourth product beside three).
constexpr int64_t kKeptLogits = 1 << 23;

RowLosses head_losses(const Tensor& rows, const Tensor& weight, const Tensor& bias,
                      const Tensor& labels) {
  const bool keeps = rows.tracked() && rows.size(0) * weight.size(0) <= kKeptLogits;
  return keeps ? cross_entropy_rows(linear(rows, weight, bias), labels)
               : linear_cross_entropy_rows(rows, weight, bias, labels);
}

}  // namespace

void PartResult::add(const PartResult& other) {
  count += other.count;
  correct += other.correct;
  loss_sum += other.loss_sum;
}

ObjectiveResult masked_data_modelling(const PretrainModel& model, const PretrainBatch& batch,
                                      const PartSizes& whole, std::span<const int64_t> codes,
                                      const TargetWeights& targets, const Pass& pass,
                                      const PartWeights& weights) {
  ObjectiveResult result;
  // Logits and losses are those of the parameters' dtype, whatever the activations are.
  const Tensor out = model.beit3(packed_input(batch, model.config()), pass, &batch.keep)
                         .to(model.mlm_weight.dtype());
  const int64_t patches = batch.image_patches + batch.pair_patches;
  const int64_t words = batch.pair_words + batch.text_words;

  auto head = [&](int64_t begin, int64_t end, const Tensor& weight, const Tensor& bias,
                  const std::vector<int64_t>& labels, const std::vector<double>& factors,
                  std::vector<int64_t>& best, PartResult& first, PartResult& second,
                  int64_t first_count) {
    const int64_t n = end - begin;
    const Tensor rows = n == out.size(0) ? out : slice(out, 0, begin, end);
    const RowLosses losses = head_losses(rows, weight, bias, from_data(labels, {n}));
    best = losses.best.to_vector<int64_t>();
    const std::vector<double> values = losses.loss.to_vector<double>();
    tally(first, values, best, labels, 0, first_count);
    tally(second, values, best, labels, first_count, n);
    const Tensor part = sum(losses.loss * from_data(factors, {n}).to(losses.loss.dtype()));
    result.loss = result.loss.defined() ? result.loss + part : part;
  };

  if (patches > 0) {
    std::vector<int64_t> labels;
    for (int64_t at : batch.patch_index) labels.push_back(codes[static_cast<size_t>(at)]);
    std::vector<double> factors =
        row_factors({batch.image_patches, whole.image_patches, weights.image},
                    {batch.pair_patches, whole.pair_patches, weights.pair_image});
    weigh(factors, labels, targets.code);
    head(0, patches, model.mim_weight, model.mim_bias, labels, factors, result.best_codes,
         result.image, result.pair_image, batch.image_patches);
  }
  if (words > 0) {
    std::vector<double> factors =
        row_factors({batch.pair_words, whole.pair_words, weights.pair_text},
                    {batch.text_words, whole.text_words, weights.text});
    weigh(factors, batch.word_labels, targets.word);
    head(patches, patches + words, model.mlm_weight, model.mlm_bias, batch.word_labels, factors,
         result.best_ids, result.pair_text, result.text, batch.pair_words);
  }
  check<ShapeError>(result.loss.defined(),
                    "masked data modelling: nothing is masked in this batch; raise a ratio of "
                    "[mask]");
  return result;
}

std::vector<float> frequency_weights(std::span<const int64_t> counts, double power) {
  if (power == 0) return {};
  double total = 0, mean = 0;
  for (int64_t c : counts) total += static_cast<double>(std::max<int64_t>(c, 1));
  std::vector<float> weights;
  for (int64_t c : counts) {
    const double f = static_cast<double>(std::max<int64_t>(c, 1)) / total;
    mean += f * std::pow(f, -power);
    weights.push_back(static_cast<float>(std::pow(f, -power)));
  }
  for (float& w : weights) w = static_cast<float>(static_cast<double>(w) / mean);
  return weights;
}

}  // namespace tessera::beit3
