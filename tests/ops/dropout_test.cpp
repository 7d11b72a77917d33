#include "tensor/ops/dropout.h"

#include "autograd/autograd.h"
#include "tensor/ops/random.h"
#include "tests/ops/op_table.h"
#include "tests/testing/reference.h"

namespace tessera::testing {
namespace {

OpCase dropped(const Shape& shape, double p, RandomKey key) {
  return {.op = "dropout",
          .name = format("{}, p = {}", shape, p),
          .inputs = {random(shape, 121)},
          .run = [=](const Tensors& in) { return dropout(in[0], p, key); },
          .reference =
              [=](const Tensors& in) {
                const DType dtype = in[0].dtype() == DType::f64 ? DType::f64 : DType::f32;
                const Tensor draw = uniform(in[0].shape(), key, {dtype});
                return Grid::of(in[0].shape(), [&](const auto& at) {
                  if (element(draw, at) < p) return Rounded(0);
                  return Rounded(element(in[0], at)) * (Rounded(1) / (Rounded(1) - p));
                });
              },
          .composed = [=](const Tensors& in) { return composed::dropout(in[0], p, key); },
          // The uniform numbers of f32 have fewer bits: another mask.
          .narrow_differs = true};
}

}  // namespace

std::vector<OpCase> dropout_cases() {
  const RandomKey key{5};
  const std::vector<int64_t> samples{7, 7, 2, 9};
  std::vector<OpCase> all;
  for (const Shape& shape : {Shape{4, 5}, Shape{}, Shape{33}, Shape{2, 3, 4}, Shape{0, 5}}) {
    all.push_back(dropped(shape, 0.3, key));
    all.push_back(dropped(shape, 0.75, key));
  }
  for (const Shape& shape : {Shape{4, 5}, Shape{4}, Shape{4, 2, 3}, Shape{4, 0}}) {
    all.push_back(
        {.op = "drop_path",
         .name = to_string(shape),
         .inputs = {random(shape, 122)},
         .run =
             [=](const Tensors& in) {
               return drop_path(in[0], drop_path_scale(samples, 0.4, key, in[0].options()));
             },
         .reference =
             [=](const Tensors& in) {
               return Grid::of(in[0].shape(), [&](const auto& at) {
                 // One draw a sample, by its number.
                 const auto sample = static_cast<uint64_t>(samples[static_cast<size_t>(at[0])]);
                 const bool kept = uniform_from(philox(key.value, sample).word[0]) >= 0.4f;
                 return kept ? Rounded(element(in[0], at)) * (Rounded(1) / (Rounded(1) - 0.4))
                             : Rounded(0);
               });
             },
         .several = true});
  }
  return all;
}

TEST(Dropout, TheGradientSeesTheSameMask) {
  const Tensor x = requires_grad(ones({1000}));
  const Tensor y = dropout(x, 0.25, RandomKey{3});
  backward(y, {.gradient = ones({1000})});
  expect_equal(x.grad(), y.detach());
}

}  // namespace tessera::testing
