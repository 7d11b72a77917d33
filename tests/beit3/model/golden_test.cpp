// Golden numbers of a tiny backbone whose parameters are a formula: produced by the reference
// modules (torchscale 0.2.0, MIT) in float64.
#include <cmath>

#include <gtest/gtest.h>

#include "autograd/grad_mode.h"
#include "beit3/model/model.h"
#include "tensor/ops/ops.h"

namespace tessera::beit3 {
namespace {

Beit3 formula_model() {
  ModelConfig c = model_preset("nano");
  c.width = 16;
  c.layers = 2;
  c.heads = 2;
  c.ffn = 32;
  c.image_size = 32;
  c.patch = 16;
  c.text_rows = 20;
  c.text_positions = 32;
  Beit3 model(c);
  int64_t t = 0;  // the place in the published order
  for (const nn::Field& field : model.list_fields()) {
    const Tensor view = field.view();
    std::vector<float> values;
    const bool norm = field.name.find("layer_norm") != std::string::npos ||
                      field.name.find("layernorm") != std::string::npos ||
                      field.name.find("attn_ln") != std::string::npos;
    const double one = norm && field.name.ends_with(".weight") ? 1 : 0;
    for (int64_t i = 0; i < view.numel(); ++i) {
      const double j = static_cast<double>(i);
      values.push_back(static_cast<float>(
          one + 0.2 * std::sin(0.5 + 0.7 * static_cast<double>(t) + 0.3 * j + 0.01 * j * j)));
    }
    copy_into(from_data(values, view.shape()), view);
    ++t;
  }
  EXPECT_EQ(t, 91);
  EXPECT_EQ(model.parameter_count(), 22624);
  return model;
}

Tensor picture() {
  std::vector<float> values;
  for (int64_t j = 0; j < 3 * 32 * 32; ++j) {
    values.push_back(static_cast<float>(0.5 * std::sin(0.05 * static_cast<double>(j))));
  }
  return from_data(values, {1, 3, 32, 32});
}

void expect_row(const Tensor& out, int64_t row, std::vector<double> expected) {
  const std::vector<float> all = out.to_vector<float>();
  for (size_t j = 0; j < expected.size(); ++j) {
    EXPECT_NEAR(all[static_cast<size_t>(row * 16) + j], expected[j], 1e-4)
        << "row " << row << ", channel " << j;
  }
}

double absolute_sum(const Tensor& x) { return sum(abs(x)).item<double>(); }

TEST(GoldenBackbone, ImageAlone) {
  const NoGrad silent;
  const Beit3 model = formula_model();
  PackedInput in{
      .layout = PackedLayout(1, {}, {}, 5), .images = picture(), .masked = {}, .ids = {}};
  const Tensor out = model(in, {});
  expect_row(out, 0, {0.743091, -0.918987, 1.546530, -1.152320});
  expect_row(out, 4, {0.849864, -0.709241, 1.120305, -0.199901});
  EXPECT_NEAR(absolute_sum(out), 66.160658, 1e-3);
  EXPECT_NEAR(sum(out).item<double>(), -5.876032, 1e-3);
}

TEST(GoldenBackbone, MaskedImage) {
  const NoGrad silent;
  const Beit3 model = formula_model();
  const Tensor masked = from_data(std::vector<uint8_t>{1, 0, 0, 1}, {4}).to(DType::boolean);
  PackedInput in{
      .layout = PackedLayout(1, {}, {}, 5), .images = picture(), .masked = masked, .ids = {}};
  const Tensor out = model(in, {});
  expect_row(out, 0, {0.961398, -0.667645, 0.994962, -1.771281});
  expect_row(out, 1, {1.020399, -0.643960, 0.975456, -1.520674});
  EXPECT_NEAR(absolute_sum(out), 64.955304, 1e-3);
}

TEST(GoldenBackbone, TextWithPadding) {
  const NoGrad silent;
  const Beit3 model = formula_model();
  PackedInput in{.layout = PackedLayout(0, {}, {6}, 5, {1}),
                 .images = {},
                 .masked = {},
                 .ids = from_data(std::vector<int64_t>{0, 5, 6, 7, 2, 1}, {6})};
  const Tensor out = model(in, {});
  expect_row(out, 0, {0.167283, 0.218236, 1.029979, -1.308665});
  expect_row(out, 4, {1.455393, -1.365299, -0.212073, 2.178782});
  expect_row(out, 5, {1.860429, -2.000937, -0.010120, 1.006702});
  EXPECT_NEAR(absolute_sum(out), 75.156579, 1e-3);
}

TEST(GoldenBackbone, PairWithPaddingLayerByLayer) {
  const NoGrad silent;
  const Beit3 model = formula_model();
  PackedInput in{.layout = PackedLayout(0, {6}, {}, 5, {1}),
                 .images = picture(),
                 .masked = {},
                 .ids = from_data(std::vector<int64_t>{0, 5, 6, 7, 2, 1}, {6})};
  const Tensor embedded = model.embed(in);
  expect_row(embedded, 0, {-0.003058, 0.093300, 0.230577, 0.249574});
  expect_row(embedded, 5, {-0.015842, 0.214799, 0.375825, 0.346167});
  expect_row(embedded, 10, {0, 0, 0, 0});
  EncoderTrace trace;
  const Tensor out = model(in, {}, nullptr, &trace);
  expect_row(trace.attention[0], 0, {0.193908, 0.424644, 0.880311, 0.324102});
  expect_row(trace.attention[0], 5, {0.595120, 0.289200, 0.215566, -1.004749});
  expect_row(trace.hidden[0], 0, {0.193452, -0.513927, 2.513393, -0.255375});
  expect_row(trace.hidden[0], 10, {-0.160085, 1.056660, -0.257985, -1.147704});
  expect_row(trace.hidden[1], 5, {0.169944, 2.300399, 1.663541, -1.657027});
  expect_row(out, 0, {-0.024914, -0.554839, 1.811705, -1.411565});
  expect_row(out, 10, {0.267926, 1.110640, 0.580674, -0.151807});
  EXPECT_NEAR(absolute_sum(out), 148.651638, 2e-3);
}

}  // namespace
}  // namespace tessera::beit3
