#include "nn/dropout.h"

#include "tensor/ops/dropout.h"

namespace tessera::nn {

Tensor dropout_if(const Tensor& x, double p, const std::optional<RandomKey>& key) {
  return key && p != 0 ? dropout(x, p, *key) : x;
}

Tensor drop_path_rows(std::span<const int64_t> sample_ids, double p,
                      const std::optional<RandomKey>& key, const TensorOptions& options) {
  return key && p != 0 ? drop_path_scale(sample_ids, p, *key, options) : Tensor();
}

Tensor drop_path_if(const Tensor& x, const Tensor& row_scale) {
  return row_scale.defined() ? drop_path(x, row_scale) : x;
}

std::vector<double> drop_path_rates(int64_t depth, double highest) {
  check<ValueError>(highest >= 0 && highest < 1,
                    "drop_path_rates: highest is {}, but must be in [0, 1)", highest);
  std::vector<double> rates;
  for (int64_t i = 0; i < depth; ++i) {
    // A single layer is the first, not the last.
    rates.push_back(depth == 1 ? 0
                               : highest * static_cast<double>(i) / static_cast<double>(depth - 1));
  }
  return rates;
}

}  // namespace tessera::nn
