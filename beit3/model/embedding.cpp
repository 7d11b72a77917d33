#include "beit3/model/embedding.h"

#include "tensor/ops/elementwise.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {

VisionEmbedding::VisionEmbedding(const ModelConfig& c, const nn::ParameterOptions& options)
    : mask_token(nn::zero_parameter({1, 1, c.width}, options)),
      cls_token(nn::zero_parameter({1, 1, c.width}, options)),
      proj_weight(nn::zero_parameter({c.width, 3, c.patch, c.patch}, options)),
      proj_bias(nn::zero_parameter({c.width}, options)) {}

Tensor VisionEmbedding::operator()(const Tensor& images, const Tensor& masked) const {
  const int64_t batch = images.size(0), width = proj_weight.size(0), patch = proj_weight.size(2);
  check<ShapeError>(
      images.rank() == 4 && images.size(1) == 3 && images.size(2) == images.size(3) &&
          images.size(2) % patch == 0,
      "vision embedding: images are {}; expected (B, 3, S, S) with S a multiple of {}",
      images.shape(), patch);
  Tensor e = linear(patch_rows(images, patch), reshape(proj_weight, {width, 3 * patch * patch}),
                    proj_bias);
  if (masked.defined()) {
    e = where(unsqueeze(masked, -1), reshape(mask_token, {1, width}).to(e.dtype()), e);
  }
  const int64_t patches = e.size(0) / std::max<int64_t>(batch, 1);
  return concat(
      {expand(cls_token, {batch, 1, width}).to(e.dtype()), reshape(e, {batch, patches, width})}, 1);
}

void VisionEmbedding::fields(nn::FieldVisitor& v) {
  v("mask_token", mask_token);
  v("cls_token", cls_token);
  v("proj.weight", proj_weight);
  v("proj.bias", proj_bias);
}

Tensor patch_rows(const Tensor& images, int64_t p) {
  const int64_t batch = images.size(0), side = images.size(2) / p;
  const Tensor cut = reshape(images, {batch, 3, side, p, side, p});
  return reshape(permute(cut, {0, 2, 4, 1, 3, 5}), {batch * side * side, 3 * p * p});
}

}  // namespace tessera::beit3
