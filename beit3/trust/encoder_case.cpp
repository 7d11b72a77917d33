// A pass of the encoder alone: every layer's results, and every parameter's gradient of
// sum(output * cotangent).
#include "autograd/autograd.h"
#include "beit3/trust/padded_internal.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {

void run_encoder_case(RecordedCase& c) {
  const nn::StateDict weights = c.folder().load("encoder.weights");
  Beit3 model(recorded_model(c.folder(), weights), {.dtype = c.dtype()});
  nn::load_state(model, nn::without_prefix(weights, "beit3."));

  auto given = [&](const char* key) { return c.has(key) ? c.at(key) : Tensor(); };
  const Tensor pixels = c.has("input.visual_tokens") ? c.input("input.visual_tokens") : Tensor();
  const PaddedInput padded =
      padded_input(model.config, pixels, given("input.vision_masked_position"),
                   given("input.textual_tokens"), given("input.text_padding_position"));
  EncoderTrace trace;
  const Tensor out = padded.official_order(model(padded.input, {}, nullptr, &trace));
  const Tensor cotangent = reshape(c.input("output.cotangent"), out.shape());
  const Tensor terms = out * cotangent;
  const Tensor loss = sum(terms);
  backward(loss);

  for (size_t i = 0; i < trace.hidden.size(); ++i) {
    const std::string layer = "hidden.layer" + std::to_string(i);
    c.compare(layer + ".attn", padded.official_order(trace.attention[i]));
    c.compare(layer, padded.official_order(trace.hidden[i]));
  }
  c.compare("output.encoder_out", out);
  // A sum that cancels: its error is that of its terms.
  c.compare_with("loss", c.at("loss"), loss, sum(abs(terms)).item<double>());
  compare_gradients(c, model, "beit3.");
}

}  // namespace tessera::beit3
