#pragma once

#include "beit3/model/model.h"
#include "tensor/base/rng.h"

namespace tessera::beit3 {

/// Sets every parameter, as a function of the key and the parameter's name alone. Either form of
/// the model can start either way; no way scales by Sub-LN's factor sqrt(ln 2L).
///
/// scaled    what learns fastest at small size (measured; docs/beit3.md): weights N(0, 1/fan_in),
///           out_proj and fc2 of layer l divided by sqrt(2l), l = 1 … L, biases 0, heads
///           N(0, 0.02^2), word embeddings and text positions N(0, 1); the patch projection
///           N(0, 16/fan_in), image positions centred 2-d sines of deviation 1; in the attention
///           of images (branch A, or the shared one of the paper's form) the keys start as the
///           queries, so that it begins local ("mimetic": Trockman, Kolter, arXiv:2305.09828)
/// paper     truncated normal 0.02 cut at one deviation for every matrix, embedding and position;
///           out_proj and fc2 divided by sqrt(2l). Source: arXiv:2208.10442, section 2.3, note 4,
///           in the form of BEiT v2's code
/// official  what the released fine-tuning code starts from: matrices as in `paper` without the
///           division, text_embed N(0, 1/C), positions N(0, 1), the patch projection uniform
///           +-1/sqrt(fan_in), tokens 0
void initialise(PretrainModel& model, RandomKey key);

/// 2-d sine-cosine positions of a (grid x grid) picture, (grid^2, C), deviation `std`: C/4
/// frequencies an axis, wavelengths 6 … 32 patches in geometric steps. Each column is centred: in
/// a mean over all patches, positions cancel and the picture is left.
Tensor grid_sines(int64_t grid, int64_t width, double std);

}  // namespace tessera::beit3
