#include "beit3/model/model.h"

#include <numeric>

#include "autograd/autograd.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/dropout.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/index.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {
namespace {

/// Drop path's factors, a draw a sequence and site; undefined where the rate is 0.
class DropPath {
 public:
  DropPath(const Pass& pass, const ModelConfig& config, const PackedLayout& layout,
           const TensorOptions& options)
      : pass_(pass), config_(config), options_(options) {
    if (!pass.training || config.drop_path <= 0) return;
    samples_ = layout.sequence_of_row();
    if (pass.samples.empty()) return;
    for (int64_t& s : samples_) s = pass.samples[static_cast<size_t>(s)];
  }

  /// site 0: attention, 1: feed-forward network. The rate rises linearly over the layers.
  Tensor scale(int64_t layer, uint64_t site) const {
    if (samples_.empty() || layer == 0) return {};
    const double rate = config_.drop_path * static_cast<double>(layer) /
                        static_cast<double>(std::max<int64_t>(config_.layers - 1, 1));
    const RandomKey key = pass_.key.fold(0x6470).fold(static_cast<uint64_t>(layer)).fold(site);
    return drop_path_scale(samples_, rate, key, options_);
  }

 private:
  const Pass& pass_;
  const ModelConfig& config_;
  TensorOptions options_;
  std::vector<int64_t> samples_;
};

}  // namespace

Beit3::Beit3(const ModelConfig& c, const nn::ParameterOptions& options)
    : config(c),
      text_embed(nn::zero_parameter({c.text_rows, c.width}, options)),
      vision_embed(c, options),
      encoder(c, options) {
  validate(c);
}

Tensor Beit3::embed(const PackedInput& input, std::optional<DType> wanted) const {
  const DType dtype = wanted.value_or(text_embed.dtype());
  const PackedLayout& layout = input.layout;
  const int64_t width = config.width;
  Tensors parts;
  if (layout.image_count() > 0) {
    const Tensor& table = encoder.embed_positions[0];
    const Tensor e = vision_embed(input.images.to(dtype), input.masked);
    check<ShapeError>(
        e.size(1) == layout.image_rows() && table.size(0) == layout.image_rows() + kFirstPosition,
        "beit3: an image has {} rows, but the layout expects {} and the position "
        "table has {} (2 of them unused)",
        e.size(1), layout.image_rows(), table.size(0));
    const Tensor positions = slice(table, 0, kFirstPosition, table.size(0));
    parts.push_back(reshape(e + positions.to(e.dtype()), {layout.vision_rows(), width}));
  }
  if (layout.text_rows() > 0) {
    check<ShapeError>(input.ids.defined() && input.ids.numel() == layout.text_rows(),
                      "beit3: {} text ids, but the layout has {} text rows",
                      input.ids.defined() ? input.ids.numel() : 0, layout.text_rows());
    std::vector<int64_t> rows = layout.text_places();
    for (int64_t& r : rows) r += kFirstPosition;
    const Tensor place = from_data(rows, {layout.text_rows()}, input.ids.device());
    Tensor e =
        embedding(text_embed, input.ids) + index_select(encoder.embed_positions[1], place, 0);
    if (!layout.text_factor().empty()) {
      e = e * from_data(layout.text_factor(), {layout.text_rows(), 1}).to(e.dtype());
    }
    parts.push_back(e.to(dtype));
  }
  check<ShapeError>(!parts.empty(), "beit3: the pass holds neither images nor texts");
  return parts.size() == 1 ? parts[0] : concat(parts, 0);
}

Tensor Beit3::operator()(const PackedInput& input, const Pass& pass,
                         const std::vector<int64_t>* keep, EncoderTrace* trace) const {
  const PackedLayout& layout = input.layout;
  Stream stream{embed(input, pass.dtype), {}, {}};
  const DropPath drop_path(pass, config, layout,
                           {compute_dtype(stream.h.dtype()), stream.h.device()});
  for (int64_t i = 0; i < config.layers; ++i) {
    const EncoderLayer& layer = encoder.layers[static_cast<size_t>(i)];
    const bool last = i + 1 == config.layers;
    const Tensor attention_scale = drop_path.scale(i, 0);
    const std::vector<int64_t>* rows = last ? keep : nullptr;
    auto run = [&layer, layout, this, attention_scale, rows, trace](const Stream& in) {
      return layer(in, layout, config, attention_scale, rows, trace);
    };
    if (pass.recompute && trace == nullptr && grad_enabled()) {
      const Tensors out = checkpoint(
          [run, scale = stream.scale](const Tensors& in) -> Tensors {
            const Stream next = run({in[0], in[1], scale});
            return {next.h, next.delta};
          },
          {stream.h, stream.delta});
      stream = {out[0], out[1], {}};
    } else {
      stream = run(stream);
    }
    stream.scale = drop_path.scale(i, 1);
    if (last && keep != nullptr && stream.scale.defined()) {
      stream.scale =
          index_select(stream.scale, from_data(*keep, {static_cast<int64_t>(keep->size())}), 0);
    }
  }
  if (!encoder.layer_norm) {
    const Tensor delta =
        stream.scale.defined() ? tessera::drop_path(stream.delta, stream.scale) : stream.delta;
    return stream.h + delta;
  }
  const Routes routes = keep == nullptr ? layout.routes() : layout.routes().of(*keep);
  return settle(stream, routes, *encoder.layer_norm, config.norm_eps).norm;
}

void Beit3::fields(nn::FieldVisitor& v) {
  v("text_embed.weight", text_embed);
  v("vision_embed", vision_embed);
  v("encoder", encoder);
}

PretrainModel::PretrainModel(const ModelConfig& c, const nn::ParameterOptions& options)
    : beit3(c, options),
      mlm_weight(nn::zero_parameter({c.text_rows, c.width}, options)),
      mlm_bias(nn::zero_parameter({c.text_rows}, options)),
      mim_weight(nn::zero_parameter({c.codes, c.width}, options)),
      mim_bias(nn::zero_parameter({c.codes}, options)) {}

void PretrainModel::fields(nn::FieldVisitor& v) {
  v("beit3", beit3);
  v("mlm_head.weight", mlm_weight);
  v("mlm_head.bias", mlm_bias);
  v("mim_head.weight", mim_weight);
  v("mim_head.bias", mim_bias);
}

}  // namespace tessera::beit3
