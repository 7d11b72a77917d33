#include "beit3/vqkd/pixels.h"

#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/reduce.h"

namespace tessera::beit3 {
namespace {

Tensor channels(const std::array<float, 3>& values, const TensorOptions& options) {
  return from_data(std::vector<double>(values.begin(), values.end()), {1, 3, 1, 1}, options.device)
      .to(options.dtype);
}

}  // namespace

Tensor published_pixels(const Tensor& images) {
  const bool unit = images.numel() > 0 && max(images.detach()).item<double>() <= 1;
  return (unit ? images * 255.0 : images) * (1 / 127.5) - 1.0;
}

Tensor normalised_pixels(const Tensor& images, const Normalisation& statistics) {
  check<ShapeError>(images.rank() == 4 && images.size(1) == 3,
                    "pixels: images are {}; expected (B, 3, H, W)", images.shape());
  return (images - channels(statistics.mean, images.options())) /
         channels(statistics.std, images.options());
}

Tensor teacher_pixels(const Tensor& pixels, const Normalisation& statistics) {
  return normalised_pixels(clamp((pixels + 1.0) * 127.5, 0, 255) * (1 / 255.0), statistics);
}

}  // namespace tessera::beit3
