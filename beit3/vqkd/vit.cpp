#include "beit3/vqkd/vit.h"

#include "nn/init.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/layer_norm.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {
namespace {

/// The residual sum, and its norm.
SumAndNorm settle(const VitStream& s, const nn::LayerNorm& norm) {
  if (!s.delta.defined()) return {s.h, norm(s.h)};
  return add_layer_norm(s.h, s.delta, {}, RowGroups{{s.h.size(0)}}, std::span(&norm.weight, 1),
                        std::span(&norm.bias, 1), norm.eps);
}

/// Patch rows of all images come first, class tokens after them: the results of the patches are
/// then one contiguous range, and positions are added without copying rows together.
Segments segments_of(int64_t images, int64_t patches) {
  std::vector<Segment> list;
  const int64_t end = images * patches;
  for (int64_t i = 0; i < images; ++i) {
    list.push_back({i * patches, (i + 1) * patches, end + i, end + i + 1, 0});
  }
  return Segments(std::move(list), end + images);
}

}  // namespace

VitBlock::VitBlock(const VitSizes& s, RandomKey key, const TensorOptions& options)
    : norm1(s.width, {.eps = s.norm_eps, .tensor = options}),
      norm2(s.width, {.eps = s.norm_eps, .tensor = options}),
      attn(s.width, s.heads, key.fold(0), {.bias = nn::QkvBias::query_value, .tensor = options}),
      mlp(s.width, s.ffn > 0 ? s.ffn : 4 * s.width, key.fold(1), {.tensor = options}) {}

VitStream VitBlock::operator()(const VitStream& in, const Segments& segments) const {
  const SumAndNorm first = settle(in, norm1);
  const SumAndNorm second = settle({first.sum, attn(first.norm, segments)}, norm2);
  return {second.sum, mlp(second.norm)};
}

void VitBlock::fields(nn::FieldVisitor& v) {
  v("norm1", norm1);
  v("attn", attn);
  v("norm2", norm2);
  v("mlp", mlp);
}

VitTower::VitTower(const VitSizes& s, RandomKey key, const TensorOptions& options)
    : sizes(s),
      cls_token(nn::parameter(nn::init::normal({1, 1, s.width}, key.fold(0), 0.02, options))),
      pos_embed(nn::parameter(
          nn::init::normal({1, s.patches() + 1, s.width}, key.fold(1), 0.02, options))),
      patch_embed(s.width, s.patch, key.fold(2), {.channels = s.channels, .tensor = options}),
      fc_norm(s.width, {.eps = s.norm_eps, .tensor = options}) {
  for (int64_t i = 0; i < s.layers; ++i) {
    blocks.emplace_back(s, key.fold(3).fold(static_cast<uint64_t>(i)), options);
  }
}

Tensor VitTower::operator()(const Tensor& patches) const {
  const int64_t n = sizes.patches(), width = sizes.width;
  const int64_t inputs = sizes.channels * sizes.patch * sizes.patch;
  check<ShapeError>(patches.rank() == 2 && patches.size(1) == inputs && patches.size(0) % n == 0,
                    "vit: patches are {}, but must be (B * {}, {})", patches.shape(), n, inputs);
  const int64_t images = patches.size(0) / n;
  const Tensor e = linear(patches, reshape(patch_embed.weight, {width, inputs}), patch_embed.bias);
  const Tensor positions = slice(pos_embed, 1, 1, n + 1);
  const Tensor placed = reshape(reshape(e, {images, n, width}) + positions, {images * n, width});
  const Tensor first = reshape(cls_token + slice(pos_embed, 1, 0, 1), {1, width});
  VitStream stream{concat({placed, expand(first, {images, width})}), {}};
  const Segments segments = segments_of(images, n);
  for (const VitBlock& block : blocks) stream = block(stream, segments);
  return slice(settle(stream, fc_norm).norm, 0, 0, images * n);
}

void VitTower::fields(nn::FieldVisitor& v) {
  v("cls_token", cls_token);
  v("pos_embed", pos_embed);
  v("patch_embed", patch_embed);
  v("blocks", blocks);
  v("fc_norm", fc_norm);
}

}  // namespace tessera::beit3
