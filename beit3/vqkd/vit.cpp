#include "beit3/vqkd/vit.h"

#include "beit3/model/positions.h"
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

}  // namespace

Segments vit_segments(int64_t images, int64_t patches) {
  std::vector<Segment> list;
  const int64_t end = images * patches;
  for (int64_t i = 0; i < images; ++i) {
    list.push_back({i * patches, (i + 1) * patches, end + i, end + i + 1, 0});
  }
  return Segments(std::move(list), end + images);
}

VitBlock::VitBlock(const VitSizes& s, RandomKey key, const TensorOptions& options)
    : norm1(s.width, {.eps = s.norm_eps, .tensor = options}),
      norm2(s.width, {.eps = s.norm_eps, .tensor = options}),
      attn(s.width, s.heads, key.fold(0), {.bias = s.bias, .tensor = options}),
      mlp(s.width, s.ffn > 0 ? s.ffn : 4 * s.width, key.fold(1), {.tensor = options}) {}

VitStream VitBlock::operator()(const VitStream& in, const Segments& segments,
                               VitTrace* trace) const {
  const SumAndNorm first = settle(in, norm1);
  const Tensor attended = attn(first.norm, segments);
  const SumAndNorm second = settle({first.sum, attended}, norm2);
  const VitStream out{second.sum, mlp(second.norm)};
  if (trace != nullptr) {
    trace->attention.push_back(attended);
    trace->hidden.push_back(out.h + out.delta);
  }
  return out;
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

Tensor VitTower::positions(int64_t grid) const {
  if (grid == sizes.grid) return pos_embed;
  const Tensor table = reshape(pos_embed, {pos_embed.size(1), sizes.width});
  // The added 0.1 guards the published code against rounding of the size, and shifts every place.
  const double step = static_cast<double>(sizes.grid) / (static_cast<double>(grid) + 0.1);
  return unsqueeze(resample_positions(table, {.special_rows = 1, .grid = grid, .step = step}), 0);
}

Tensor VitTower::operator()(const Tensor& patches, int64_t grid, VitTrace* trace) const {
  if (grid == 0) grid = sizes.grid;
  const int64_t n = grid * grid, width = sizes.width;
  const int64_t inputs = sizes.channels * sizes.patch * sizes.patch;
  check<ShapeError>(patches.rank() == 2 && patches.size(1) == inputs && patches.size(0) % n == 0,
                    "vit: patches are {}, but must be (B * {}, {})", patches.shape(), n, inputs);
  const int64_t images = patches.size(0) / n;
  const Tensor e = linear(patches, reshape(patch_embed.weight, {width, inputs}), patch_embed.bias);
  const Tensor table = positions(grid);
  const Tensor placed =
      reshape(reshape(e, {images, n, width}) + slice(table, 1, 1, n + 1), {images * n, width});
  const Tensor first = reshape(cls_token + slice(table, 1, 0, 1), {1, width});
  VitStream stream{concat({placed, expand(first, {images, width})}), {}};
  if (trace != nullptr) trace->embedded = stream.h;
  const Segments segments = vit_segments(images, n);
  for (const VitBlock& block : blocks) stream = block(stream, segments, trace);
  return slice(settle(stream, fc_norm).norm, 0, 0, images * n);
}

void VitTower::fields(nn::FieldVisitor& v) {
  v("cls_token", cls_token);
  v("pos_embed", pos_embed);
  v("patch_embed", patch_embed);
  v("blocks", blocks);
  v(sizes.closing_norm, fc_norm);
}

}  // namespace tessera::beit3
