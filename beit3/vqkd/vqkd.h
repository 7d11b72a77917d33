#pragma once

#include <optional>
#include <string>

#include "beit3/vqkd/config.h"
#include "beit3/vqkd/quantizer.h"
#include "beit3/vqkd/usage.h"
#include "beit3/vqkd/vit.h"

namespace tessera::beit3 {

/// Vector-quantised knowledge distillation: an encoder, a codebook and a decoder that rebuilds what
/// a teacher says of each patch. A further head makes pixels from the decoder's output, for people
/// to look at; it does not shape the codes.
///
/// Published names: encoder, decoder (see VitTower; the decoder's patches are single codes),
/// quantize, encode_task_layer.{0, 2}, decode_task_layer.{0, 2}; ours alone: pixel_head.{0, 2}.
/// Unlike the published code, which guesses the range of pixel values from the largest of a batch
/// (published_pixels), `features` and `encode` always take pictures in [0, 1]. Source: Peng et al.,
/// BEiT v2, arXiv:2208.06366, section 3.1, and the published code.
struct Vqkd : nn::Module {
  VitTower encoder;
  nn::Linear encode1, encode2;  // encode_task_layer.0 and .2, tanh between
  Quantizer quantize;
  VitTower decoder;
  nn::Linear decode1, decode2;               // decode_task_layer.0 and .2, tanh between
  std::optional<nn::Linear> pixel1, pixel2;  // pixel_head.0 and .2, tanh between; may be absent

  explicit Vqkd(const VqkdConfig& config, RandomKey key = {}, const TensorOptions& options = {});
  const VqkdConfig& config() const { return config_; }

  /// images (B, 3, S, S) in [0, 1] -> what is quantised, (B * N, code_width).
  Tensor features(const Tensor& images) const;
  /// Pixels in [-1, 1] (see published_pixels), square pictures of any whole number of patches ->
  /// what the encoder makes of them, (B * N, width). Positions are resampled for another size.
  Tensor encoded(const Tensor& pixels, VitTrace* trace = nullptr) const;
  /// (B * N, width) of the encoder -> what is quantised, (B * N, code_width).
  Tensor to_quantizer(const Tensor& encoded) const;
  /// (B, 3, S, S) in [0, 1] -> codes (B * N) i64, row by row of patches. Nothing is recorded; many
  /// pictures are worked through in parts.
  Tensor encode(const Tensor& images) const;
  /// Vectors of codes (B * N, code_width) -> what the decoder makes of them, (B * N, width).
  /// `grid`: patches along a side of these pictures, 0 for the usual number.
  Tensor decoded(const Tensor& vectors, int64_t grid = 0, VitTrace* trace = nullptr) const {
    return decoder(vectors, grid, trace);
  }
  /// (B * N, decoder_width) -> targets (B * N, target_width).
  Tensor target_of(const Tensor& decoded) const;
  /// (B * N, decoder_width) -> pixels of each patch in [-1, 1], unclipped, (B * N, 3 P P). Throws
  /// StateError if there is no such head.
  Tensor pixels_of(const Tensor& decoded) const;
  bool has_pixel_head() const { return pixel2.has_value(); }

  /// Codes (B * N), or (B, N) -> pictures (B, 3, S, S), clipped to [0, 1]. Nothing is recorded.
  Tensor decode_pixels(const Tensor& ids) const;
  /// Codes -> what the teacher would say, (B * N, target_width). Nothing is recorded.
  Tensor decode_features(const Tensor& ids) const;
  void fields(nn::FieldVisitor& v) override;
  std::string describe() const override { return "Vqkd"; }

 private:
  Tensor decoded_codes(const Tensor& ids) const;

  VqkdConfig config_;
};

/// Sets every parameter as the published training does: matrices, tokens and positions N(0,
/// 0.02^2), biases 0; proj and fc2 of block l, counted from 1, divided by sqrt(2 l); patch
/// projections uniform in ±1/sqrt(fan-in).
void initialise_as_published(Vqkd& vq, RandomKey key);

/// Takes over a published state dict: names that begin with "loss", "teacher" or "scaling" are
/// dropped, the others must fit exactly; a pixel head keeps its values if the state has none.
/// Throws StateError with all differences.
void load_published(Vqkd& vq, const nn::StateDict& state);

/// Reads a file written by `save_vqkd` or by a trainer. Throws IoError if it is none or damaged.
Vqkd load_vqkd(const std::string& path);
/// Writes the tokenizer alone, atomically.
void save_vqkd(const Vqkd& vq, const std::string& path);
/// xxHash64 of sizes, parameters and codes, not of how often codes were used: two tokenizers with
/// one hash give the same codes and the same pictures.
uint64_t content_hash(const Vqkd& vq);

}  // namespace tessera::beit3
