#pragma once

#include <functional>
#include <string>
#include <vector>

#include "beit3/pretrain/made_up_batch.h"

namespace tessera::beit3::cli {

/// Something to be timed.
struct BenchWork {
  std::string name;
  double flops = 0;  ///< of the mathematics, 2 a multiply-add, however it is computed; 0: few
  double bytes = 0;  ///< least traffic: operands read once, results written once; 0: not counted
  std::function<void()> run;
};

/// Forward pass, forward and backward, and a whole step of pretraining with AdamW. `pass` says how
/// activations are kept, `update_in_backward` that the step keeps no gradients.
std::vector<BenchWork> step_works(const ModelConfig& config, const BatchSizes& sizes,
                                  const Pass& pass, bool update_in_backward);
/// The dense products of a layer and of the two heads: forward, by the input, by the weight.
std::vector<BenchWork> gemm_works(const ModelConfig& config, const BatchSizes& sizes);
/// Attention over all sequences of a batch.
std::vector<BenchWork> attention_works(const ModelConfig& config, const BatchSizes& sizes);
/// The other fused kernels, at the sizes of a layer.
std::vector<BenchWork> op_works(const ModelConfig& config, const BatchSizes& sizes);

/// Operations of the forward pass; rows that the loss does not read are not computed in the last
/// layer.
double forward_flops(const ModelConfig& config, const PretrainBatch& batch);

}  // namespace tessera::beit3::cli
