#include <cmath>

#include <gtest/gtest.h>

#include "autograd/autograd.h"
#include "nn/nn.h"
#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace {

using namespace tessera;
using namespace tessera::nn;
using tessera::testing::expect_close;
using tessera::testing::random;

constexpr TensorOptions kF64 = {.dtype = DType::f64};

TEST(Linear, IsAProductPlusBias) {
  const Linear layer(3, 2, RandomKey{1}, {.tensor = kF64});
  const Tensor x = random({4, 5, 3}, 1);
  expect_close(layer(x), matmul(x, transpose(layer.weight)) + layer.bias, 1e-14);
  const Linear plain(3, 2, RandomKey{1}, {.bias = false, .tensor = kF64});
  EXPECT_FALSE(plain.bias.defined());
  expect_close(plain.weight, layer.weight, 0);
  EXPECT_ERROR(Linear(0, 2, RandomKey{1}), ValueError,
               "Linear: 0 -> 2, but sizes must be positive");
}

TEST(Linear, ComputesIn16BitsWithParametersThatStayWide) {
  const Linear layer(3, 2, RandomKey{1});
  const Tensor x = random({4, 3}, 1, DType::bf16);
  const Tensor y = layer(x);
  EXPECT_EQ(y.dtype(), DType::bf16);
  backward(sum(y.to(DType::f32)));
  EXPECT_EQ(layer.weight.grad().dtype(), DType::f32);
}

TEST(Embedding, TakesRows) {
  const Embedding table(5, 3, RandomKey{1}, {.std = 0.5});
  const Tensor y = table(from_data(std::vector<int64_t>{4, 0, 4, 1}, {2, 2}));
  EXPECT_EQ(y.shape(), Shape({2, 2, 3}));
  expect_close(select(select(y, 0, 1), 0, 0), select(table.weight, 0, 4), 0);
  EXPECT_THROW(table(from_data(std::vector<int64_t>{5}, {1})), IndexError);
}

TEST(LayerNorm, StartsAsPlainNormalisation) {
  const nn::LayerNorm norm(8, {.eps = 1e-6, .tensor = kF64});
  const Tensor x = random({3, 8}, 2);
  const Tensor centred = x - mean(x, {1}, KeepDims::yes);
  expect_close(norm(x), centred * rsqrt(var(x, {1}, KeepDims::yes) + 1e-6), 1e-13);
}

TEST(FeedForward, BothForms) {
  const Tensor x = random({2, 3, 4}, 3);
  const FeedForward plain(4, 6, RandomKey{1}, {.tensor = kF64});
  expect_close(plain(x), plain.fc2(gelu(plain.fc1(x))), 1e-14);
  const FeedForward sub(4, 6, RandomKey{1}, {.sub_layer_norm = true, .tensor = kF64});
  init::set(sub.ffn_layernorm->weight, random({6}, 4));
  init::set(sub.ffn_layernorm->bias, random({6}, 5));
  expect_close(sub(x), sub.fc2((*sub.ffn_layernorm)(gelu(sub.fc1(x)))), 1e-13);
  EXPECT_EQ(sub.state().size(), 6u);
  EXPECT_EQ(sub(zeros({0, 4}, kF64)).shape(), Shape({0, 4}));
}

/// Head by head, with plain ops.
Tensor attention_by_hand(const SelfAttention& a, const Tensor& x, int64_t length) {
  const int64_t width = x.size(1), depth = width / a.heads;
  const Tensor qkv = linear(x, a.qkv_weight, a.packed_bias());
  Tensors rows;
  for (int64_t first = 0; first < x.size(0); first += length) {
    Tensors heads;
    for (int64_t h = 0; h < a.heads; ++h) {
      auto part = [&](int64_t which) {
        const int64_t at = which * width + h * depth;
        return slice(slice(qkv, 0, first, first + length), 1, at, at + depth);
      };
      const Tensor scores =
          matmul(part(0), part(1), {.transpose_b = true}) / std::sqrt(static_cast<double>(depth));
      heads.push_back(matmul(softmax(scores), part(2)));
    }
    rows.push_back(concat(std::span<const Tensor>(heads), 1));
  }
  return a.out(concat(std::span<const Tensor>(rows), 0));
}

TEST(SelfAttention, AgreesWithPlainOpsForEveryBias) {
  const Tensor x = random({10, 12}, 6);
  for (const QkvBias bias : {QkvBias::none, QkvBias::query_value, QkvBias::all}) {
    const SelfAttention attention(12, 3, RandomKey{2}, {.bias = bias, .tensor = kF64});
    const Tensor y = attention(x, Segments::uniform(2, 5));
    expect_close(y, attention_by_hand(attention, x, 5), 1e-13);
    backward(sum(square(y)));
    const Tensor g = attention.qkv_weight.grad();
    attention.zero_grad();
    backward(sum(square(attention_by_hand(attention, x, 5))));
    expect_close(g, attention.qkv_weight.grad(), 1e-12);
  }
}

TEST(SelfAttention, Names) {
  auto names = [](const SelfAttentionOptions& options) {
    std::vector<std::string> all;
    for (const Field& f : SelfAttention(4, 2, RandomKey{1}, options).list_fields()) {
      all.push_back(f.name);
    }
    return all;
  };
  EXPECT_EQ(
      names({.bias = QkvBias::query_value}),
      (std::vector<std::string>{"q_bias", "v_bias", "qkv.weight", "proj.weight", "proj.bias"}));
  EXPECT_EQ(
      names({.bias = QkvBias::query_value, .names = QkvNames::split}),
      (std::vector<std::string>{"k_proj.weight", "v_proj.weight", "v_proj.bias", "q_proj.weight",
                                "q_proj.bias", "out_proj.weight", "out_proj.bias"}));
  EXPECT_ERROR(SelfAttention(5, 2, RandomKey{1}), ValueError,
               "SelfAttention: width 5 is not a multiple of 2 heads");
}

TEST(PatchEmbed, IsAConvolutionWhoseStrideIsItsKernel) {
  const PatchEmbed embed(5, 2, RandomKey{1}, {.tensor = kF64});
  const Tensor images = random({2, 3, 4, 6}, 7);
  const Tensor y = embed(images);
  ASSERT_EQ(y.shape(), Shape({12, 5}));
  const std::vector<double> x = images.to_vector<double>(), w = embed.weight.to_vector<double>(),
                            b = embed.bias.to_vector<double>();
  const Tensor expected = tessera::testing::by_position({12, 5}, [&](const auto& at) {
    const int64_t image = at[0] / 6, row = at[0] % 6 / 3, column = at[0] % 3;
    double sum = b[static_cast<size_t>(at[1])];
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t i = 0; i < 2; ++i) {
        for (int64_t j = 0; j < 2; ++j) {
          const int64_t pixel = ((image * 3 + c) * 4 + 2 * row + i) * 6 + 2 * column + j;
          const int64_t tap = ((at[1] * 3 + c) * 2 + i) * 2 + j;
          sum += x[static_cast<size_t>(pixel)] * w[static_cast<size_t>(tap)];
        }
      }
    }
    return sum;
  });
  expect_close(y, expected, 1e-13);
  expect_close(unpatches(patches(images, 2), 2, 3, 4, 6), images, 0);
  EXPECT_ERROR(embed(zeros({1, 3, 4, 5}, kF64)), ShapeError,
               "patches: images (1, 3, 4, 5) cannot be cut into squares of 2; resize them to "
               "multiples");
  EXPECT_ERROR(embed(zeros({1, 1, 4, 4}, kF64)), ShapeError,
               "PatchEmbed: images are (1, 1, 4, 4), but must be (B, 3, H, W)");
}

}  // namespace
