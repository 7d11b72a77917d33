#pragma once

#include <optional>
#include <span>
#include <vector>

#include "tensor/base/rng.h"
#include "tensor/tensor.h"

/// A module holds no mode: whether it trains is said by the call. A key means training, no key
/// evaluation, where nothing is dropped.
namespace tessera::nn {

/// Dropout with probability p if there is a key; x itself otherwise, and for p = 0.
Tensor dropout_if(const Tensor& x, double p, const std::optional<RandomKey>& key);

/// Drop path's factor for each row, by sample (see drop_path_scale); undefined, which
/// add_layer_norm and drop_path_if take as 1, without a key or for p = 0.
///
/// sample_ids  the sample of each row
Tensor drop_path_rows(std::span<const int64_t> sample_ids, double p,
                      const std::optional<RandomKey>& key, const TensorOptions& options = {});

/// x times a factor a row; x itself if `row_scale` is undefined.
Tensor drop_path_if(const Tensor& x, const Tensor& row_scale);

/// The probability of each of `depth` layers: from 0 in the first to `highest` in the last, in
/// equal steps. ValueError unless highest is in [0, 1). Source: Huang et al., arXiv:1603.09382,
/// section 3 (a linear rule).
std::vector<double> drop_path_rates(int64_t depth, double highest);

}  // namespace tessera::nn
