#include "beit3/vqkd/teacher.h"

#include "nn/init.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {

ClipTeacher::Block::Block(const VitSizes& s, RandomKey key, const TensorOptions& options)
    : attn(s.width, s.heads, key.fold(0), {.tensor = options}),
      ln_1(s.width, {.eps = s.norm_eps, .tensor = options}),
      ln_2(s.width, {.eps = s.norm_eps, .tensor = options}),
      c_fc(s.width, 4 * s.width, key.fold(1), {.tensor = options}),
      c_proj(4 * s.width, s.width, key.fold(2), {.tensor = options}) {}

Tensor ClipTeacher::Block::operator()(const Tensor& h, const Segments& segments) const {
  const Tensor sum = h + attn(ln_1(h), segments);
  const Tensor inner = c_fc(ln_2(sum));
  return sum + c_proj(inner * sigmoid(inner * 1.702));
}

void ClipTeacher::Block::fields(nn::FieldVisitor& v) {
  v.prefix("attn", [&] {
    v("in_proj_weight", attn.qkv_weight);
    v("in_proj_bias", attn.qkv_bias);
    v("out_proj", attn.out);
  });
  v("ln_1", ln_1);
  v("mlp.c_fc", c_fc);
  v("mlp.c_proj", c_proj);
  v("ln_2", ln_2);
}

ClipTeacher::ClipTeacher(const VitSizes& s, int64_t out, RandomKey key,
                         const TensorOptions& options)
    : sizes(s),
      ln_pre(s.width, {.eps = s.norm_eps, .tensor = options}),
      ln_post(s.width, {.eps = s.norm_eps, .tensor = options}) {
  auto drawn = [&](const Shape& shape, uint64_t n) {
    return nn::parameter(nn::init::normal(shape, key.fold(n), 0.02, options));
  };
  conv1 = drawn({s.width, s.channels, s.patch, s.patch}, 0);
  class_embedding = drawn({s.width}, 1);
  positional_embedding = drawn({s.patches() + 1, s.width}, 2);
  proj = drawn({s.width, out}, 3);
  for (int64_t i = 0; i < s.layers; ++i) {
    blocks.emplace_back(s, key.fold(4).fold(static_cast<uint64_t>(i)), options);
  }
}

Tensor ClipTeacher::operator()(const Tensor& pixels, VitTrace* trace) const {
  const int64_t n = sizes.patches(), width = sizes.width;
  const int64_t side = sizes.grid * sizes.patch;
  check<ShapeError>(pixels.rank() == 4 && pixels.size(1) == sizes.channels &&
                        pixels.size(2) == side && pixels.size(3) == side,
                    "clip teacher: pixels are {}; expected (B, {}, {}, {})", pixels.shape(),
                    sizes.channels, side, side);
  const Tensor rows = nn::patches(pixels, sizes.patch);
  const int64_t images = rows.size(0) / n;
  const Tensor e = linear(rows, reshape(conv1, {width, rows.size(1)}));
  const Tensor placed =
      reshape(reshape(e, {images, n, width}) + slice(positional_embedding, 0, 1, n + 1),
              {images * n, width});
  const Tensor first = class_embedding + slice(positional_embedding, 0, 0, 1);
  Tensor h = ln_pre(concat({placed, expand(first, {images, width})}));
  if (trace != nullptr) trace->embedded = h;
  const Segments segments = vit_segments(images, n);
  for (const Block& block : blocks) {
    h = block(h, segments);
    if (trace != nullptr) trace->hidden.push_back(h);
  }
  return matmul(ln_post(slice(h, 0, 0, images * n)), proj);
}

void ClipTeacher::fields(nn::FieldVisitor& v) {
  v("class_embedding", class_embedding);
  v("positional_embedding", positional_embedding);
  v("proj", proj);
  v("conv1.weight", conv1);
  v("ln_pre", ln_pre);
  v("transformer.resblocks", blocks);
  v("ln_post", ln_post);
}

VitTower dino_teacher(VitSizes sizes, RandomKey key, const TensorOptions& options) {
  sizes.bias = nn::QkvBias::all;
  sizes.closing_norm = "norm";
  return VitTower(sizes, key, options);
}

}  // namespace tessera::beit3
