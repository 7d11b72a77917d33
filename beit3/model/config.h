#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::beit3 {

/// How parameters start. See init.h.
enum class Init { scaled, paper, official };

/// Two models are called BEiT-3.
enum class Form {
  /// What the published base and large weights are. Attention projections, norms and feed-forward
  /// networks exist per modality (A: rows of images, B: rows of texts); Sub-LN; no vision-language
  /// expert. Source: torchscale 0.2.0, microsoft/unilm beit3.
  released,
  /// What the paper describes, as its giant. One attention and one norm before it for all rows; a
  /// feed-forward network and the norm before it per expert: V and L for images and texts alone,
  /// and below the top layers also for the two parts of a pair, all of whose rows have the expert
  /// VL in the top layers; no Sub-LN. Source: arXiv:2208.10442, section 2.1 and table 2. What that
  /// leaves open is as in its predecessor (microsoft/unilm vlmo): which norms there are, and that
  /// images and texts alone keep their experts in the top layers.
  paper,
};

/// Sizes and fixed choices of a model. Every default that is not a size is a fact of the released
/// code (torchscale 0.2.0, microsoft/unilm beit3).
struct ModelConfig {
  std::string name = "nano";
  Form form = Form::released;
  int64_t width = 96;             ///< C, hidden size
  int64_t layers = 4;             ///< L
  int64_t heads = 4;              ///< H; C / H is the head size
  int64_t ffn = 384;              ///< inner size of the feed-forward network: 4 C
  int64_t vl_layers = 3;          ///< paper form: top layers with the expert VL
  int64_t image_size = 64;        ///< side of the square input, in pixels; a multiple of the patch
  int64_t patch = 8;              ///< side of a patch, in pixels
  int64_t text_rows = 64010;      ///< rows of text_embed and mlm_head (64,002 ids and 8 unused)
  int64_t codes = 8192;           ///< rows of mim_head: the image tokenizer's vocabulary (BEiT v2)
  int64_t text_positions = 1024;  ///< rows of the text position table; texts have at most 1022 ids
  double norm_eps = 1e-5;         ///< every layer norm (torchscale: layernorm_eps)
  bool normalize_output = true;   ///< the final norm; absent in VQA and image classification
  double drop_path = 0;           ///< rate of the last layer, rising linearly from 0
  Init init = Init::scaled;

  int64_t grid() const { return image_size / patch; }
  int64_t patches() const { return grid() * grid(); }
  /// Rows of an image: CLS, then the patches.
  int64_t image_rows() const { return patches() + 1; }
  int64_t head_size() const { return width / heads; }
  /// Does layer 0 … L-1 have the expert VL?
  bool has_vl_expert(int64_t layer) const {
    return form == Form::paper && layer >= layers - vl_layers;
  }
};

/// The first usable row of both position tables: rows 0 and 1 are never read (a fairseq habit of
/// counting positions from padding_idx + 1).
inline constexpr int64_t kFirstPosition = 2;

/// nano, micro, tiny, small: for training from scratch; base, large: the released sizes; giant: the
/// paper's, in the paper's form.
/// Throws ValueError, naming the nearest preset, for another name.
ModelConfig model_preset(std::string_view name);
std::vector<std::string> model_preset_names();

/// Throws ValueError, naming the field, unless the sizes fit together.
void validate(const ModelConfig& config);

std::string_view to_string(Init init);
std::string_view to_string(Form form);
/// Throws ValueError for another word.
Init init_from(std::string_view word);
Form form_from(std::string_view word);

}  // namespace tessera::beit3
