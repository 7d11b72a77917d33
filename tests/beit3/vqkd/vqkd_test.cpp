#include "beit3/vqkd/vqkd.h"

#include <fstream>

#include "autograd/autograd.h"
#include "autograd/gradcheck.h"
#include "nn/state_dict.h"
#include "tests/beit3/vqkd/vqkd_testing.h"
#include "tests/testing/errors.h"

namespace tessera::beit3 {
namespace {

using testing::TemporaryFile;

const VqkdConfig kSmall{.image_size = 16,
                        .patch = 8,
                        .width = 16,
                        .heads = 2,
                        .encoder_layers = 1,
                        .decoder_layers = 1,
                        .codes = 8,
                        .code_width = 4};

/// Parameters of a part, without making all twelve layers of the published sizes: the count is
/// linear in the layers.
std::map<std::string, int64_t> counts_of(VqkdConfig config) {
  auto count = [](const VqkdConfig& c) {
    std::map<std::string, int64_t> counts;
    for (const auto& p : Vqkd(c).named_parameters()) {
      counts[p.name.substr(0, p.name.find('.'))] += p.tensor.numel();
      counts["all"] += p.tensor.numel();
    }
    return counts;
  };
  VqkdConfig one = config, two = config;
  one.encoder_layers = 1;
  two.encoder_layers = 2;
  std::map<std::string, int64_t> a = count(one), b = count(two);
  for (auto& [name, n] : a) n += (config.encoder_layers - 1) * (b.at(name) - n);
  return a;
}

TEST(VqkdTest, PublishedSizes) {
  const std::map<std::string, int64_t> counts = counts_of(published_vqkd("clip-1"));
  EXPECT_EQ(counts.at("encoder"), 85'789'440);
  EXPECT_EQ(counts.at("decoder"), 7'266'048);
  EXPECT_EQ(counts.at("encode_task_layer"), 615'200);
  EXPECT_EQ(counts.at("decode_task_layer"), 984'320);
  EXPECT_EQ(counts.at("quantize"), 532'480);
  EXPECT_EQ(counts.at("all"), 95'187'488);
  EXPECT_EQ(counts_of(published_vqkd("clip-3")).at("all"), 109'361'696);
  EXPECT_EQ(counts_of(published_vqkd("dino-1")).at("all"), 95'384'352);
}

TEST(VqkdTest, PublishedNamesAndOurs) {
  VqkdConfig config = kSmall;
  std::string names;
  for (const nn::Field& f : Vqkd(config).list_fields()) names += f.name + "\n";
  for (const char* name : {"encoder.cls_token",
                           "encoder.pos_embed",
                           "encoder.patch_embed.proj.weight",
                           "encoder.blocks.0.norm1.weight",
                           "encoder.blocks.0.attn.q_bias",
                           "encoder.blocks.0.attn.v_bias",
                           "encoder.blocks.0.attn.qkv.weight",
                           "encoder.blocks.0.attn.proj.bias",
                           "encoder.blocks.0.norm2.bias",
                           "encoder.blocks.0.mlp.fc1.weight",
                           "encoder.blocks.0.mlp.fc2.bias",
                           "encoder.fc_norm.weight",
                           "decoder.patch_embed.proj.weight",
                           "quantize.cluster_size",
                           "quantize.embedding.weight",
                           "quantize.embedding.cluster_size",
                           "quantize.embedding.embed_avg",
                           "quantize.embedding.initted",
                           "encode_task_layer.0.weight",
                           "encode_task_layer.2.bias",
                           "decode_task_layer.0.bias",
                           "decode_task_layer.2.weight",
                           "pixel_head.2.weight"}) {
    EXPECT_NE(names.find(std::string(name) + "\n"), std::string::npos) << name;
  }
  EXPECT_EQ(Vqkd(config).state().at("decoder.patch_embed.proj.weight").shape(),
            (Shape{16, 4, 1, 1}));
  config.pixel_head = false;
  EXPECT_FALSE(Vqkd(config).state().contains("pixel_head.2.weight"));
}

TEST(VqkdTest, Gradcheck) {
  const TensorOptions f64{.dtype = DType::f64};
  Vqkd vq(kSmall, RandomKey{1}, f64);
  const Tensor images = uniform({2, 3, 16, 16}, RandomKey{2}, f64);
  const Tensor ids = vq.encode(images);
  // The lookup is piecewise constant and passes its derivative straight on, so both sides of it are
  // checked: the path around it, and the pull to fixed codes.
  Tensor* parameters[] = {&vq.encoder.patch_embed.weight,
                          &vq.encoder.cls_token,
                          &vq.encoder.pos_embed,
                          &vq.encoder.blocks[0].attn.qkv_weight,
                          &vq.encoder.blocks[0].attn.q_bias,
                          &vq.encoder.blocks[0].attn.v_bias,
                          &vq.encoder.blocks[0].mlp.fc2.weight,
                          &vq.encode2.weight,
                          &vq.decoder.patch_embed.bias,
                          &vq.decode1.weight};
  Tensors inputs{images};
  for (Tensor* p : parameters) inputs.push_back(clone(p->detach()));
  // The norm of a short vector bends too much for differences.
  for (size_t i : {2, 3}) inputs[i] = inputs[i] * 25.0;
  const GradcheckReport report = gradcheck(
      [&](const Tensors& in) -> Tensors {
        for (size_t i = 0; i < std::size(parameters); ++i) *parameters[i] = in[i + 1];
        const Tensor unit = unit_rows(vq.features(in[0]));
        const Tensor decoded = vq.decoded(unit);
        return {vq.target_of(decoded), vq.pixels_of(decoded),
                mean(square(unit - vq.quantize.lookup(ids)))};
      },
      inputs, {.max_elements = 12});
  EXPECT_TRUE(report.ok) << report.message;
  EXPECT_GT(report.cases, 100);
}

TEST(VqkdTest, CodesMakePictures) {
  const Vqkd vq(kSmall, RandomKey{1});
  const Tensor images = testing::blobs(70, 16, RandomKey{3});
  const Tensor ids = vq.encode(images);
  EXPECT_EQ(ids.shape(), (Shape{280}));
  EXPECT_EQ(ids.dtype(), DType::i64);
  const Tensor pictures = vq.decode_pixels(reshape(ids, {70, 4}));
  EXPECT_EQ(pictures.shape(), images.shape());
  EXPECT_GE(min(pictures).item<double>(), 0);
  EXPECT_LE(max(pictures).item<double>(), 1);
  EXPECT_EQ(vq.decode_features(ids).shape(), (Shape{280, vq.config().target_width}));
  EXPECT_EQ(vq.encode(slice(images, 0, 0, 0)).numel(), 0);
  EXPECT_ERROR(vq.decode_pixels(slice(ids, 0, 0, 3)), ShapeError,
               "image tokenizer: 3 codes are no whole number of pictures of 4");
  EXPECT_ERROR(vq.encode(zeros({1, 3, 32, 32})), ShapeError,
               "image tokenizer: images are (1, 3, 32, 32); expected (B, 3, 16, 16)");
  VqkdConfig headless = kSmall;
  headless.pixel_head = false;
  EXPECT_THROW(Vqkd(headless).decode_pixels(ids), StateError);
}

TEST(VqkdTest, PicturesOfAnotherSizeHaveResampledPositions) {
  const NoGrad silent;
  const Vqkd vq(kSmall, RandomKey{1});
  EXPECT_EQ(vq.encoder.positions(3).shape(), (Shape{1, 10, 16}));
  EXPECT_EQ(vq.encoder.positions(2).to_vector<float>(), vq.encoder.pos_embed.to_vector<float>());
  const Tensor z = vq.to_quantizer(vq.encoded(zeros({2, 3, 24, 24})));
  EXPECT_EQ(z.shape(), (Shape{18, 4}));
  EXPECT_EQ(vq.decoded(z, 3).shape(), (Shape{18, 16}));
  EXPECT_ERROR(vq.encoded(zeros({2, 3, 24, 20})), ShapeError,
               "image tokenizer: pixels are (2, 3, 24, 20); expected (B, 3, S, S) with S a "
               "multiple of 8");
}

TEST(VqkdTest, FilesGiveTheSameTokenizer) {
  const TemporaryFile file("tokenizer.vq");
  const Vqkd vq(kSmall, RandomKey{1});
  save_vqkd(vq, file.path());
  const Vqkd again = load_vqkd(file.path());
  EXPECT_EQ(again.config(), vq.config());
  EXPECT_EQ(content_hash(again), content_hash(vq));
  for (const auto& [name, tensor] : vq.state()) {
    EXPECT_EQ(again.state().at(name).to_vector<float>(), tensor.to_vector<float>()) << name;
  }
}

TEST(VqkdTest, TheHashIsOfWhatDecidesCodes) {
  Vqkd vq(kSmall, RandomKey{1});
  const uint64_t hash = content_hash(vq);
  EXPECT_NE(hash, content_hash(Vqkd(kSmall, RandomKey{2})));
  vq.quantize.count(zeros({4}, {.dtype = DType::i64}), 0.5);
  EXPECT_EQ(hash, content_hash(vq));
  VqkdConfig other = kSmall;
  other.heads = 4;  // the same parameters, other codes
  EXPECT_NE(hash, content_hash(Vqkd(other, RandomKey{1})));
  fill_(slice(vq.quantize.weight, 0, 0, 1), 0.5);
  EXPECT_NE(hash, content_hash(vq));
}

TEST(VqkdTest, RefusesOtherAndDamagedFiles) {
  const TemporaryFile file("broken.vq");
  nn::save_safetensors(file.path(), {{"x", zeros({1})}});
  EXPECT_ERROR(load_vqkd(file.path()), IoError,
               (file.path() + " is no image tokenizer; make one with `beit3 vq train`").c_str());
  const Vqkd vq(kSmall, RandomKey{1});
  save_vqkd(vq, file.path());
  const nn::SafetensorsFile whole = nn::load_safetensors(file.path());
  nn::StateDict changed = nn::load_safetensors(file.path()).tensors;
  fill_(changed.at("encoder.cls_token"), 1);
  nn::save_safetensors(file.path(), changed, whole.metadata);
  EXPECT_THROW(load_vqkd(file.path()), IoError);
  changed = whole.tensors;
  changed.erase("encoder.cls_token");
  nn::save_safetensors(file.path(), changed, whole.metadata);
  EXPECT_THROW(load_vqkd(file.path()), IoError);
  for (const char* claim : {"\"encoder_layers\":60000", "\"encoder_layers\":4000000000"}) {
    nn::SafetensorsMetadata huge = whole.metadata;
    constexpr std::string_view kTruth = "\"encoder_layers\":1";
    huge["config"].replace(huge["config"].find(kTruth), kTruth.size(), claim);
    nn::save_safetensors(file.path(), whole.tensors, huge);
    EXPECT_THROW(load_vqkd(file.path()), IoError) << claim;
  }
}

TEST(VqkdTest, PublishedInitialisation) {
  VqkdConfig config = kSmall;
  config.width = 64;
  config.encoder_layers = 2;
  Vqkd vq(config, RandomKey{1});
  initialise_as_published(vq, RandomKey{2});
  auto deviation = [](const Tensor& x) { return std::sqrt(var(x.detach()).item<double>()); };
  EXPECT_NEAR(deviation(vq.encoder.blocks[1].attn.qkv_weight), 0.02, 0.001);
  EXPECT_NEAR(deviation(vq.encoder.blocks[0].mlp.fc2.weight), 0.02 / std::sqrt(2.0), 0.001);
  EXPECT_NEAR(deviation(vq.encoder.blocks[1].mlp.fc2.weight), 0.02 / 2, 0.001);
  EXPECT_NEAR(deviation(vq.encoder.pos_embed), 0.02, 0.003);
  EXPECT_EQ(deviation(vq.encoder.blocks[0].mlp.fc1.bias), 0);
}

TEST(VqkdTest, DropsWhatPublishedFilesHoldBesides) {
  VqkdConfig published = kSmall;
  published.pixel_head = false;
  nn::StateDict state = nn::clone(Vqkd(published, RandomKey{7}).state());
  for (const char* name : {"teacher_model.visual.proj", "scaling_layer.shift", "loss.weight"}) {
    state.emplace(name, zeros({1}));
  }
  Vqkd vq(published);
  load_published(vq, state);
  EXPECT_EQ(content_hash(vq), content_hash(Vqkd(published, RandomKey{7})));
  state.erase("encoder.cls_token");
  state.emplace("encoder.norm.weight", zeros({16}));
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
