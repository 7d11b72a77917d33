// The tokenizer against what the official one computes, in f64: data/vqkd/README.md.

#include "autograd/autograd.h"
#include "beit3/vqkd/targets.h"
#include "nn/optim/adamw.h"
#include "tests/beit3/vqkd/vqkd_testing.h"

namespace tessera::beit3 {
namespace {

using testing::expect_near_scale;
using testing::recorded;

/// Another order of summation gives about 1e-14.
constexpr double kBound = 1e-9;

const VqkdConfig kTiny{.image_size = 32,
                       .patch = 8,
                       .width = 32,
                       .heads = 4,
                       .encoder_layers = 2,
                       .decoder_layers = 1,
                       .decoder_width = 24,
                       .decoder_heads = 3,
                       .codes = 48,
                       .code_width = 8,
                       .target = VqkdTarget::features,
                       .target_width = 24,
                       .pixel_head = false};

Vqkd recorded_model(DType dtype) {
  Vqkd vq(kTiny, {}, {.dtype = dtype});
  load_published(vq, recorded("vqkd.weights"));
  return vq;
}

Tensor f64(const Tensor& x) { return x.to(DType::f64); }
Tensor rows_of(const Tensor& x) { return reshape(x, {-1, x.size(-1)}); }

TEST(VqkdRecordedTest, ForwardAndAllGradients) {
  const nn::StateDict r = recorded("forward.f64");
  const Vqkd vq = recorded_model(DType::f64);
  const Tensor image = requires_grad(f64(r.at("input.image")));
  const Tensor z = vq.features(image);
  expect_near_scale(z.detach(), rows_of(r.at("output.to_quantizer")), kBound, "to_quantizer");
  const Quantized q = vq.quantize(z);
  expect_near_scale(q.normalised.detach(), rows_of(r.at("output.normalised")), kBound,
                    "normalised");
  EXPECT_EQ(q.ids.to_vector<int64_t>(), r.at("output.ids").to_vector<int64_t>());
  const Tensor decoded = vq.decoded(q.codes);
  expect_near_scale(decoded.detach(), rows_of(r.at("output.decoder_features")), kBound,
                    "decoder_features");
  const Tensor said = vq.target_of(decoded);
  expect_near_scale(said.detach(), rows_of(r.at("output.reconstruction")), kBound,
                    "reconstruction");
  const Tensor rec = cosine_loss(said, rows_of(f64(r.at("input.teacher_features"))));
  expect_near_scale(rec.detach(), r.at("loss.rec"), kBound, "loss.rec");
  expect_near_scale(q.commitment.detach(), r.at("loss.quant"), kBound, "loss.quant");
  backward(rec + q.commitment);
  expect_near_scale(image.grad(), r.at("grad.input.image"), kBound, "image");
  int compared = 0;
  for (const nn::NamedParameter& p : vq.named_parameters()) {
    if (!p.tensor.tracked()) continue;
    expect_near_scale(p.tensor.grad(), r.at("grad." + p.name), kBound, p.name);
    ++compared;
  }
  EXPECT_EQ(compared, 59);
  expect_near_scale(vq.decode_features(q.ids), rows_of(r.at("output.reconstruction")), kBound,
                    "decode_features");
}

TEST(VqkdRecordedTest, CodesOfPicturesInSinglePrecision) {
  const nn::StateDict r = recorded("tokens");
  const Vqkd vq = recorded_model(DType::f32);
  const Tensor pictures = r.at("input.unit_range");
  EXPECT_EQ(vq.encode(pictures).to_vector<int64_t>(),
            r.at("ids_batch.unit_range").to_vector<int64_t>());
  for (int64_t i = 0; i < pictures.size(0); ++i) {
    EXPECT_EQ(vq.encode(slice(pictures, 0, i, i + 1)).to_vector<int64_t>(),
              select(r.at("ids_alone.unit_range"), 0, i).to_vector<int64_t>());
  }
}

TEST(VqkdRecordedTest, ThreeTrainingSteps) {
  const nn::StateDict r = recorded("train.f64");
  Vqkd vq = recorded_model(DType::f64);
  nn::AdamW optimizer(
      nn::make_param_groups(vq.named_parameters(),
                            {.weight_decay = 0.05,
                             .no_decay = {"encoder.cls_token", "encoder.pos_embed",
                                          "decoder.cls_token", "decoder.pos_embed"}}),
      {.lr = 2e-3, .beta1 = 0.9, .beta2 = 0.99, .max_grad_norm = 1e30});
  for (int step = 0; step < 3; ++step) {
    auto of = [&](const std::string& name) { return r.at(format("{}.step{}", name, step)); };
    const Quantized q = vq.quantize(vq.features(f64(of("input.image"))));
    EXPECT_EQ(q.ids.to_vector<int64_t>(), of("ids").to_vector<int64_t>());
    const Tensor rec =
        cosine_loss(vq.target_of(vq.decoded(q.codes)), rows_of(f64(of("input.teacher_features"))));
    const Tensor loss = rec + q.commitment;
    expect_near_scale(loss.detach(), of("loss.total"), kBound, "loss");
    backward(loss);
    expect_near_scale(optimizer.step().grad_norm, of("grad_norm"), kBound, "gradient norm");
    optimizer.zero_grad();
    vq.quantize.update(q.normalised, q.ids, 0.99);
    expect_near_scale(vq.quantize.weight, of("codes"), kBound, "codes");
    expect_near_scale(vq.quantize.cluster_size, of("cluster_size"), kBound, "cluster size");
  }
  const nn::StateDict state = vq.state();
  int compared = 0;
  for (const auto& [name, expected] : r) {
    if (!name.starts_with("after.")) continue;
    expect_near_scale(state.at(name.substr(6)), expected, 1e-7, name);
    ++compared;
  }
  EXPECT_EQ(compared, 9);
}

TEST(VqkdRecordedTest, DropsWhatPublishedFilesHoldBesides) {
  nn::StateDict state = recorded("vqkd.weights");
  for (const char* name : {"teacher_model.visual.proj", "scaling_layer.shift", "loss.weight"}) {
    state.emplace(name, zeros({1}));
  }
  Vqkd vq(kTiny);
  load_published(vq, state);
  state.erase("encoder.cls_token");
  state.emplace("encoder.norm.weight", zeros({32}));
  try {
    load_published(vq, state);
    ADD_FAILURE() << "a state that does not fit was loaded";
  } catch (const StateError& error) {
    EXPECT_NE(std::string(error.what()).find("\"encoder.cls_token\""), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("\"encoder.norm.weight\""), std::string::npos);
  }
}

}  // namespace
}  // namespace tessera::beit3
