#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "beit3/pretrain/recipe.h"

namespace tessera::beit3 {

/// One way of computing what must not depend on the way.
struct VerifyRow {
  std::string way;   ///< "2 threads", "saved and resumed after step 1", "4 pieces"
  std::string hash;  ///< of all parameters at the end; see PretrainTrainer::parameter_hash
  double loss = 0, grad_norm = 0;  ///< of the last step
  bool same = true;                ///< as the first way
};
using VerifyListener = std::function<void(const VerifyRow& row)>;

// Each runs the first `steps` steps of a pretraining run in several ways, tells of every way as it
// is done, and returns whether all gave the same. They throw what PretrainTrainer throws.

/// With 1, 2, 3 … `most` threads: the same bits.
bool verify_threads(const PretrainRecipe& recipe, int64_t steps, int most,
                    const VerifyListener& listener);

/// Straight through, and saved and resumed after each of the steps: the same bits. Checkpoints go
/// into `folder`, which exists, and are removed.
bool verify_resume(const PretrainRecipe& recipe, int64_t steps, const std::filesystem::path& folder,
                   const VerifyListener& listener);

/// One step, its batch cut into 1, 2, 3, 4 and 8 pieces, as far as there are samples. What every
/// masked position is given is the same bits where products are row exact; gradients are sums over
/// positions, whose order the cut changes: their norm must agree within 8 eps sqrt(rows).
bool verify_accumulation(const PretrainRecipe& recipe, const VerifyListener& listener);

}  // namespace tessera::beit3
