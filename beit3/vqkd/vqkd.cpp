#include "beit3/vqkd/vqkd.h"

#include <algorithm>
#include <cmath>

#include "autograd/grad_mode.h"
#include "nn/init.h"
#include "nn/state_dict.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {
namespace {

/// Pictures encoded at a time.
constexpr int64_t kEncodeBatch = 64;

VitSizes encoder_sizes(const VqkdConfig& c) {
  return {.width = c.width,
          .heads = c.heads,
          .layers = c.encoder_layers,
          .channels = 3,
          .patch = c.patch,
          .grid = c.grid(),
          .norm_eps = c.norm_eps};
}

VitSizes decoder_sizes(const VqkdConfig& c) {
  return {.width = c.decoder_width,
          .heads = c.decoder_heads,
          .layers = c.decoder_layers,
          .channels = c.code_width,
          .patch = 1,
          .grid = c.grid(),
          .norm_eps = c.norm_eps};
}

bool dropped(std::string_view name) {
  return name.starts_with("loss") || name.starts_with("teacher") || name.starts_with("scaling");
}

void initialise_tower(VitTower& tower, RandomKey key) {
  auto gauss = [](const Tensor& p, RandomKey k, double std = 0.02) {
    nn::init::set(p, nn::init::truncated_normal_absolute(p.shape(), k, std, 2, p.options()));
  };
  auto clear = [](const Tensor& p) { nn::init::scale(p, 0); };
  gauss(tower.cls_token, key.fold(0));
  gauss(tower.pos_embed, key.fold(1));
  for (size_t i = 0; i < tower.blocks.size(); ++i) {
    VitBlock& block = tower.blocks[i];
    const RandomKey own = key.fold(2).fold(i);
    const double depth = 1 / std::sqrt(2.0 * static_cast<double>(i + 1));
    gauss(block.attn.qkv_weight, own.fold(0));
    gauss(block.attn.out.weight, own.fold(1));
    gauss(block.mlp.fc1.weight, own.fold(2));
    gauss(block.mlp.fc2.weight, own.fold(3));
    nn::init::scale(block.attn.out.weight, depth);
    nn::init::scale(block.mlp.fc2.weight, depth);
    for (const Tensor& bias : {block.attn.q_bias, block.attn.v_bias, block.attn.out.bias,
                               block.mlp.fc1.bias, block.mlp.fc2.bias}) {
      clear(bias);
    }
  }
}

}  // namespace

Vqkd::Vqkd(const VqkdConfig& config, RandomKey key, const TensorOptions& t)
    : encoder(encoder_sizes(complete(config)), key.fold(1), t),
      encode1(config.width, config.width, key.fold(2), {.tensor = t}),
      encode2(config.width, config.code_width, key.fold(3), {.tensor = t}),
      quantize(config.codes, config.code_width, key.fold(4), t),
      decoder(decoder_sizes(complete(config)), key.fold(5), t),
      decode1(decoder.sizes.width, decoder.sizes.width, key.fold(6), {.tensor = t}),
      decode2(decoder.sizes.width, complete(config).target_width, key.fold(7), {.tensor = t}),
      config_(complete(config)) {
  if (config_.pixel_head) {
    const int64_t wide = config_.decoder_width;
    pixel1.emplace(wide, wide, key.fold(8), nn::LinearOptions{.tensor = t});
    pixel2.emplace(wide, 3 * config_.patch * config_.patch, key.fold(9),
                   nn::LinearOptions{.tensor = t});
  }
}

Tensor Vqkd::features(const Tensor& images) const {
  check<ShapeError>(images.rank() == 4 && images.size(1) == 3 &&
                        images.size(2) == config_.image_size &&
                        images.size(3) == config_.image_size,
                    "image tokenizer: images are {}; expected (B, 3, {}, {})", images.shape(),
                    config_.image_size, config_.image_size);
  return to_quantizer(encoded(images * 2.0 - 1.0));
}

Tensor Vqkd::encoded(const Tensor& pixels, VitTrace* trace) const {
  check<ShapeError>(pixels.rank() == 4 && pixels.size(1) == 3 && pixels.size(2) == pixels.size(3) &&
                        pixels.size(2) % config_.patch == 0,
                    "image tokenizer: pixels are {}; expected (B, 3, S, S) with S a multiple of {}",
                    pixels.shape(), config_.patch);
  return encoder(nn::patches(pixels, config_.patch), pixels.size(2) / config_.patch, trace);
}

Tensor Vqkd::to_quantizer(const Tensor& encoded) const { return encode2(tanh(encode1(encoded))); }

Tensor Vqkd::encode(const Tensor& images) const {
  const NoGrad silent;
  Tensors ids;
  const int64_t count = images.rank() == 4 ? images.size(0) : 0;
  for (int64_t begin = 0; begin < count || ids.empty(); begin += kEncodeBatch) {
    const bool all = count <= kEncodeBatch;
    const Tensor part =
        all ? images : slice(images, 0, begin, std::min(count, begin + kEncodeBatch));
    ids.push_back(quantize.nearest(unit_rows(features(part.to(quantize.weight.dtype())))));
  }
  return ids.size() == 1 ? ids[0] : concat(ids);
}

Tensor Vqkd::target_of(const Tensor& x) const { return decode2(tanh(decode1(x))); }

Tensor Vqkd::pixels_of(const Tensor& x) const {
  check<StateError>(has_pixel_head(),
                    "image tokenizer: it has no pixel head, so it cannot make pictures");
  return (*pixel2)(tanh((*pixel1)(x)));
}

Tensor Vqkd::decoded_codes(const Tensor& ids) const {
  check<ShapeError>(ids.numel() % config_.patches() == 0,
                    "image tokenizer: {} codes are no whole number of pictures of {}", ids.numel(),
                    config_.patches());
  return decoder(quantize.lookup(reshape(ids, {ids.numel()})));
}

Tensor Vqkd::decode_pixels(const Tensor& ids) const {
  const NoGrad silent;
  const Tensor rows = clamp(pixels_of(decoded_codes(ids)) * 0.5 + 0.5, 0, 1);
  return nn::unpatches(rows, config_.patch, 3, config_.image_size, config_.image_size);
}

Tensor Vqkd::decode_features(const Tensor& ids) const {
  const NoGrad silent;
  return target_of(decoded_codes(ids));
}

void Vqkd::fields(nn::FieldVisitor& v) {
  v("encoder", encoder);
  v("decoder", decoder);
  v("quantize", quantize);
  v("encode_task_layer.0", encode1);
  v("encode_task_layer.2", encode2);
  v("decode_task_layer.0", decode1);
  v("decode_task_layer.2", decode2);
  v("pixel_head.0", pixel1);
  v("pixel_head.2", pixel2);
}

void initialise_as_published(Vqkd& vq, RandomKey key) {
  initialise_tower(vq.encoder, key.fold(0));
  initialise_tower(vq.decoder, key.fold(1));
  uint64_t n = 2;
  for (nn::Linear* layer : {&vq.encode1, &vq.encode2, &vq.decode1, &vq.decode2}) {
    nn::init::set(layer->weight,
                  nn::init::truncated_normal_absolute(layer->weight.shape(), key.fold(n++), 0.02, 2,
                                                      layer->weight.options()));
    nn::init::scale(layer->bias, 0);
  }
}

void load_published(Vqkd& vq, const nn::StateDict& state) {
  nn::StateDict kept, target = vq.state();
  for (const auto& [name, tensor] : state) {
    if (!dropped(name)) kept.emplace(name, tensor);
  }
  std::erase_if(target, [&](const auto& entry) {
    return entry.first.starts_with("pixel_head.") && !kept.contains(entry.first);
  });
  nn::load_state(target, kept, "image tokenizer");
}

}  // namespace tessera::beit3
