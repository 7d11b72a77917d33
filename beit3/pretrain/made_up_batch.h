#pragma once

#include "beit3/pretrain/batch.h"

namespace tessera::beit3 {

/// How many sequences of each kind a batch has.
struct BatchSizes {
  int64_t images = 16, texts = 16, pairs = 16;
};

/// A batch for measurements, the same every time: random pixels and ids, ragged texts of 8 to 64
/// ids, the mask ratios of the paper in blocks of up to 6 patches. Ids are below config.text_rows.
PretrainBatch made_up_batch(const ModelConfig& config, const BatchSizes& sizes);

/// A code of config.codes for each patch of the batch.
std::vector<int64_t> made_up_codes(const ModelConfig& config, const PretrainBatch& batch);

}  // namespace tessera::beit3
