#pragma once

#include "beit3/model/model.h"
#include "beit3/trust/recorded_internal.h"

namespace tessera::beit3 {

/// A batch as the official code has it, all texts padded to one length, as input of one packed pass
/// whose rows can be put back into the official order.
struct PaddedInput {
  PackedInput input;
  Tensor rows;  ///< (B * T) i64: the row of each official position; (image | text) a sequence

  /// (packed rows, C) -> (B * T, C)
  Tensor official_order(const Tensor& packed) const;
};

/// pixels   (B, 3, S, S) in the dtype of the computation, or undefined: texts alone
/// masked   (B, N) boolean, or undefined
/// ids      (B, T) i64, or undefined: images alone
/// padding  (B, T) boolean, true for padding, which stands at the end
PaddedInput padded_input(const ModelConfig& config, const Tensor& pixels, const Tensor& masked,
                         const Tensor& ids, const Tensor& padding);

/// How many of the last ids of each row are padding.
std::vector<int64_t> padding_lengths(const Tensor& padding);

/// The configuration of a BEiT-3 folder, with as many text positions as the weights have. In the
/// released form, unless the manifest states a "form".
ModelConfig recorded_model(const RecordedFolder& folder, const nn::StateDict& weights);

/// The gradients of all published tensors of a module against grad.PREFIX + NAME.
void compare_gradients(RecordedCase& c, const nn::Module& module, const std::string& prefix,
                       const std::string& title = "");

}  // namespace tessera::beit3
