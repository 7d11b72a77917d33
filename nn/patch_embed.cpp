#include "nn/patch_embed.h"

#include "nn/init.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::nn {

Tensor patches(const Tensor& images, int64_t patch) {
  check<ShapeError>(images.rank() == 4, "patches: images are {}, but must be (B, C, H, W)",
                    images.shape());
  const int64_t batch = images.size(0), channels = images.size(1), height = images.size(2),
                width = images.size(3);
  check<ShapeError>(patch > 0 && height % patch == 0 && width % patch == 0,
                    "patches: images {} cannot be cut into squares of {}; resize them to multiples",
                    images.shape(), patch);
  const int64_t down = height / patch, across = width / patch;
  const Tensor grid = reshape(images, {batch, channels, down, patch, across, patch});
  return reshape(permute(grid, {0, 2, 4, 1, 3, 5}),
                 {batch * down * across, channels * patch * patch});
}

Tensor unpatches(const Tensor& rows, int64_t patch, int64_t channels, int64_t height,
                 int64_t width) {
  check<ShapeError>(
      patch > 0 && height > 0 && width > 0 && height % patch == 0 && width % patch == 0,
      "unpatches: an image of {} x {} does not consist of squares of {}", height, width, patch);
  const int64_t down = height / patch, across = width / patch;
  check<ShapeError>(rows.rank() == 2 && rows.size(1) == channels * patch * patch &&
                        rows.size(0) % (down * across) == 0,
                    "unpatches: rows are {}, but must be (B * {}, {})", rows.shape(), down * across,
                    channels * patch * patch);
  const int64_t batch = rows.size(0) / (down * across);
  const Tensor grid = reshape(rows, {batch, down, across, channels, patch, patch});
  return reshape(permute(grid, {0, 3, 1, 4, 2, 5}), {batch, channels, height, width});
}

PatchEmbed::PatchEmbed(int64_t width, int64_t patch, RandomKey key,
                       const PatchEmbedOptions& options) {
  check<ValueError>(width > 0 && patch > 0 && options.channels > 0,
                    "PatchEmbed: width {}, patch {} and channels {} must be positive", width, patch,
                    options.channels);
  const int64_t inputs = options.channels * patch * patch;
  weight = parameter(init::uniform_fan_in({width, options.channels, patch, patch}, key.fold(0),
                                          inputs, options.tensor));
  bias = parameter(init::uniform_fan_in({width}, key.fold(1), inputs, options.tensor));
}

Tensor PatchEmbed::operator()(const Tensor& images) const {
  check<ShapeError>(images.rank() == 4 && images.size(1) == weight.size(1),
                    "PatchEmbed: images are {}, but must be (B, {}, H, W)", images.shape(),
                    weight.size(1));
  const Tensor x = patches(images, patch());
  const Tensor matrix = reshape(weight, {weight.size(0), x.size(1)});
  return linear(x, matrix, bias);
}

void PatchEmbed::fields(FieldVisitor& v) {
  v("proj.weight", weight);
  v("proj.bias", bias);
}

std::string PatchEmbed::describe() const {
  return format("PatchEmbed({} channels, patches of {} -> {})", weight.size(1), patch(),
                weight.size(0));
}

}  // namespace tessera::nn
