#pragma once

#include "beit3/trust/recorded_internal.h"
#include "beit3/vqkd/vqkd.h"

namespace tessera::beit3 {

/// The recorded image tokenizer, in the dtype of the case.
Vqkd recorded_vqkd(const RecordedCase& c);
/// Factor of the codebook's moving averages.
double recorded_decay(const RecordedCase& c);

/// (B, D, h, w), as the published code has what is quantised, to (B * h * w, D).
Tensor rows_of_map(const Tensor& map);
/// The reverse, for rows of pictures of `height` x `width` patches.
Tensor map_of_rows(const Tensor& rows, int64_t height, int64_t width);
/// Rows with patches first and class tokens last -> (B, 1 + N, C) with the class token first.
Tensor class_token_first(const Tensor& rows, int64_t images);

/// |z|^2 + |w|^2 - 2 z.w of every row and code, (N, K).
Tensor code_distances(const Tensor& normalised, const Tensor& codes);
/// Distance of the second nearest code less that of the nearest, (N): how safe an id is.
Tensor code_gaps(const Tensor& distances);
/// Compares these gaps with a recorded tensor, if there is one.
void compare_gaps(RecordedCase& c, const std::string& key, const Tensor& distances);

/// What the tokenizer makes of pixels in [-1, 1], with its losses against a teacher's features.
struct VqkdPass {
  VitTrace encoder, decoder;
  Tensor encoded, z, decoded, said;
  Quantized q;
  Tensor reconstruction_loss, total;
};
/// teacher (B * N, D), or undefined: no losses.
VqkdPass run_vqkd(const Vqkd& vq, const Tensor& pixels, const Tensor& teacher);
/// Compares all that is recorded under output.* and loss.* of such a pass.
void compare_pass(RecordedCase& c, const Vqkd& vq, const VqkdPass& pass, int64_t images);
/// Compares the codebook's tensors with AFTER.NAME + suffix, for every name that is recorded.
void compare_codebook(RecordedCase& c, const Quantizer& quantizer, const std::string& prefix,
                      const std::string& suffix = "");

}  // namespace tessera::beit3
