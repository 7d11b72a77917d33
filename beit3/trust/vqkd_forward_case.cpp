// One pass of the image tokenizer with a given teacher, in evaluation: all that happens on the way,
// losses, and the gradient of every parameter and of the picture. Another one on pictures of
// another size.
#include "autograd/autograd.h"
#include "beit3/trust/vqkd_case_internal.h"
#include "beit3/vqkd/pixels.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {
namespace {

Tensor teacher_rows(const RecordedCase& c, const std::string& key) {
  const Tensor features = c.input(key);
  return reshape(features, {-1, features.size(-1)});
}

}  // namespace

void run_vqkd_forward_case(RecordedCase& c) {
  Vqkd vq = recorded_vqkd(c);
  const Tensor image = requires_grad(c.input("input.image"));
  const Tensor pixels = published_pixels(image);
  c.compare("output.preprocessed", pixels);
  const VqkdPass pass = run_vqkd(vq, pixels, teacher_rows(c, "input.teacher_features"));
  compare_pass(c, vq, pass, image.size(0));
  backward(pass.total);
  c.compare("grad.input.image", image.grad());
  for (const nn::NamedParameter& p : vq.named_parameters()) {
    if (p.tensor.tracked()) c.compare("grad." + p.name, p.tensor.grad());
  }
  // Evaluation counts the codes too, and moves none.
  vq.quantize.count(pass.q.ids, recorded_decay(c));
  compare_codebook(c, vq.quantize, "after.quantize.");
}

void run_vqkd_resized_case(RecordedCase& c) {
  const NoGrad silent;
  const Vqkd vq = recorded_vqkd(c);
  const Tensor pixels = published_pixels(c.input("input.image"));
  const VqkdPass pass = run_vqkd(vq, pixels, teacher_rows(c, "input.teacher_features"));
  compare_pass(c, vq, pass, pixels.size(0));
}

}  // namespace tessera::beit3
