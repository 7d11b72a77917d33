// Optimizer steps of the image tokenizer: losses, ids, norms of the gradients and the moving codes
// of each step, all parameters afterwards.
#include "autograd/autograd.h"
#include "beit3/trust/vqkd_training_internal.h"
#include "beit3/vqkd/pixels.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {

VqkdTraining::VqkdTraining(RecordedCase& c, const Json& options)
    : vq(recorded_vqkd(c)),
      optimizer(vqkd_groups(vq, field<double>(options, "weight_decay")),
                {.lr = field<double>(options, "lr"),
                 .beta1 = field<std::vector<double>>(options, "betas").at(0),
                 .beta2 = field<std::vector<double>>(options, "betas").at(1),
                 .eps = field<double>(options, "eps"),
                 // Measured, not clipped.
                 .max_grad_norm = 1e30}),
      decay_(recorded_decay(c)) {}

VqkdTrainingStep VqkdTraining::run_step(const Tensor& images, const Tensor& teacher) {
  VqkdTrainingStep step;
  step.pass = run_vqkd(vq, published_pixels(images), teacher);
  step.distances = code_distances(step.pass.q.normalised.detach(), vq.quantize.weight);
  backward(step.pass.total);
  step.grad_norm = optimizer.step().grad_norm;
  optimizer.zero_grad();
  vq.quantize.update(step.pass.q.normalised, step.pass.q.ids, decay_);
  return step;
}

void run_vqkd_training_case(RecordedCase& c) {
  const Json options = field<Json>(c.entry(), "args");
  VqkdTraining training(c, options);
  for (int64_t step = 0; step < field<int64_t>(options, "steps"); ++step) {
    const std::string suffix = ".step" + std::to_string(step);
    const Tensor features = c.input("input.teacher_features" + suffix);
    const VqkdTrainingStep s = training.run_step(c.input("input.image" + suffix),
                                                 reshape(features, {-1, features.size(-1)}));
    compare_gaps(c, "gap" + suffix, s.distances);
    c.compare("ids" + suffix, s.pass.q.ids);
    c.compare("loss.quant" + suffix, s.pass.q.commitment);
    c.compare("loss.rec" + suffix, s.pass.reconstruction_loss);
    c.compare("loss.total" + suffix, s.pass.total);
    c.compare("grad_norm" + suffix, s.grad_norm);
    c.compare("codes" + suffix, training.vq.quantize.weight);
    c.compare("cluster_size" + suffix, training.vq.quantize.cluster_size);
  }
  for (const nn::Field& f : training.vq.list_fields()) {
    const std::string name = "after." + f.name;
    if (c.has(name)) c.compare_trained(name, c.at(name), f.view());
  }
}

}  // namespace tessera::beit3
