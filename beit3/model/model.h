#pragma once

#include "beit3/model/embedding.h"
#include "beit3/model/encoder.h"

namespace tessera::beit3 {

/// What goes into one packed pass.
struct PackedInput {
  PackedLayout layout;
  Tensor images;  ///< (images + pairs, 3, S, S), normalised; undefined if there are none
  Tensor masked;  ///< (image count * N) boolean: patches to hide; undefined: none
  Tensor ids;     ///< (text rows) i64: ids of all texts, one after another; undefined if none
};

/// The backbone, with the published names below "beit3.".
///
/// A model in the paper's form was never published. Its names are those of the released form, less
/// the part ".A" or ".B" where a module is shared (self_attn.q_proj.weight,
/// encoder.layer_norm.bias) and with the paper's names of experts (ffn.V.fc1.weight,
/// final_layer_norm.VL.weight).
struct Beit3 : nn::Module {
  ModelConfig config;
  Tensor text_embed;  // (text_rows, C)
  VisionEmbedding vision_embed;
  Encoder encoder;

  Beit3() = default;
  /// Parameters are zero (norm weights one) until `initialise` or loading; f32, or f64 for exact
  /// comparisons.
  explicit Beit3(const ModelConfig& config, const nn::ParameterOptions& options = {});

  /// Embeddings with positions: the encoder's input (N, C). dtype: its own; none: the parameters'.
  Tensor embed(const PackedInput& input, std::optional<DType> dtype = {}) const;

  /// Runs the encoder.
  ///
  /// keep     rows of the result, ascending; null: all. Work that only other rows would need is
  ///          left out of the last layer.
  /// trace    filled with each layer's outputs, if given
  /// returns  (rows, C), after the final norm where the configuration has one
  Tensor operator()(const PackedInput& input, const Pass& pass,
                    const std::vector<int64_t>* keep = nullptr,
                    EncoderTrace* trace = nullptr) const;
  void fields(nn::FieldVisitor& v) override;
};

/// The pretraining model: the backbone and two linear heads on the final norm's output.
/// Published names: mlm_head, mim_head.
struct PretrainModel : nn::Module {
  Beit3 beit3;
  Tensor mlm_weight, mlm_bias;  // (text_rows, C), (text_rows)
  Tensor mim_weight, mim_bias;  // (codes, C), (codes)

  PretrainModel() = default;
  explicit PretrainModel(const ModelConfig& config, const nn::ParameterOptions& options = {});
  const ModelConfig& config() const { return beit3.config; }
  void fields(nn::FieldVisitor& v) override;
};

}  // namespace tessera::beit3
