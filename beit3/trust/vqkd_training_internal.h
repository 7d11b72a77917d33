#pragma once

#include "beit3/trust/vqkd_case_internal.h"
#include "beit3/vqkd/train.h"

namespace tessera::beit3 {

struct VqkdTrainingStep {
  VqkdPass pass;
  Tensor distances;  ///< of all rows to all codes, before the update
  Tensor grad_norm;
};

/// The official training of the image tokenizer, without clipping and at one rate.
struct VqkdTraining {
  Vqkd vq;
  nn::AdamW optimizer;

  /// options: lr, betas, eps, weight_decay
  VqkdTraining(RecordedCase& c, const Json& options);
  /// images (B, 3, S, S), teacher (B * N, D)
  VqkdTrainingStep run_step(const Tensor& images, const Tensor& teacher);

 private:
  double decay_;
};

}  // namespace tessera::beit3
