// How pixels become inputs, and pictures codes.
#include "autograd/grad_mode.h"
#include "beit3/trust/vqkd_case_internal.h"
#include "beit3/vqkd/pixels.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {

void run_preprocess_case(RecordedCase& c) {
  for (const std::string& input : c.names("input.")) {
    const std::string range = input.substr(std::string_view("input.").size());
    const Tensor images = c.input(input);
    const Tensor pixels = published_pixels(images);
    c.compare("default." + range, pixels);
    c.compare("imagenet_norm." + range, normalised_pixels(images, kImageNet));
    c.compare("scaling_clip." + range, teacher_pixels(pixels, kClipStatistics));
    c.compare("scaling_dino." + range, teacher_pixels(pixels, kImageNet));
  }
}

void run_vqkd_tokens_case(RecordedCase& c) {
  const NoGrad silent;
  for (const std::string& input : c.names("input.")) {
    const std::string range = input.substr(std::string_view("input.").size());
    Vqkd vq = recorded_vqkd(c);
    // Asking for codes counts them, as in evaluation.
    auto ids_of = [&](const Tensor& pixels) {
      const Tensor ids = vq.quantize.nearest(unit_rows(vq.to_quantizer(vq.encoded(pixels))));
      vq.quantize.count(ids, recorded_decay(c));
      return ids;
    };
    const Tensor images = c.input(input);
    const Tensor pixels = published_pixels(images);
    c.compare("preprocessed_batch." + range, pixels);
    const Tensor rows = unit_rows(vq.to_quantizer(vq.encoded(pixels)));
    compare_gaps(c, "gap_batch." + range, code_distances(rows, vq.quantize.weight));
    c.compare("ids_batch." + range, ids_of(pixels));
    Tensors alone;
    for (int64_t i = 0; i < images.size(0); ++i) {
      alone.push_back(ids_of(published_pixels(slice(images, 0, i, i + 1))));
    }
    c.compare("ids_alone." + range, concat(alone));
    c.compare("after_cluster_size." + range, vq.quantize.cluster_size);
    if (range == "unit_range") {
      c.compare_equal("Vqkd::encode", c.at("ids_batch." + range), vq.encode(images));
    }
  }
}

}  // namespace tessera::beit3
