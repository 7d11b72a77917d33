#pragma once

#include "beit3/image/transform.h"
#include "tensor/tensor.h"

namespace tessera::beit3 {

/// Statistics of the pictures that CLIP was trained on.
inline constexpr Normalisation kClipStatistics{{0.48145466f, 0.4578275f, 0.40821073f},
                                               {0.26862954f, 0.26130258f, 0.27577711f}};

/// Pictures as the published tokenizers take them, in [0, 1] or in 0 … 255, to [-1, 1]: if the
/// largest value of the *whole batch* is at most 1, all are multiplied by 255; then v / 127.5 - 1.
/// A picture's result therefore depends on the others: a dark one in 0 … 255 means something else
/// alone. Where the range is known, compute it from that instead.
Tensor published_pixels(const Tensor& images);

/// (v - mean) / std, a colour channel at a time. images (B, 3, H, W), of any range.
Tensor normalised_pixels(const Tensor& images, const Normalisation& statistics);

/// What a teacher sees of pixels in [-1, 1]: (x + 1) 127.5, clipped to 0 … 255, divided by 255, and
/// normalised by its statistics.
Tensor teacher_pixels(const Tensor& pixels, const Normalisation& statistics);

}  // namespace tessera::beit3
