#include "autograd/autograd.h"
#include "tensor/ops/gelu_layer_norm.h"
#include "tensor/ops/layer_norm.h"
#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

/// Norms that a product makes again in the backward pass instead of keeping them.
namespace tessera::testing {
namespace {

constexpr int64_t kRows = 5, kWidth = 6, kOut = 4;

std::vector<double> values(const Tensor& x) {
  return x.detach().to(DType::f64).to_vector<double>();
}

Tensor leaf(Shape shape, uint64_t seed, DType dtype) {
  return requires_grad(random(shape, seed, dtype));
}

/// norm(x) W^T, and every leaf of it.
struct Chain {
  RowGroups groups{{2, kRows}};
  Tensor x, delta;
  Tensors gammas, betas, weights, biases;

  explicit Chain(DType dtype)
      : x(leaf({kRows, kWidth}, 1, dtype)), delta(leaf({kRows, kWidth}, 2, dtype)) {
    const DType wide = compute_dtype(dtype);
    for (uint64_t i = 0; i < 2; ++i) {
      gammas.push_back(leaf({kWidth}, 10 + i, wide));
      betas.push_back(leaf({kWidth}, 20 + i, wide));
      weights.push_back(leaf({kOut, kWidth}, 30 + i, wide));
      biases.push_back(leaf({kOut}, 40 + i, wide));
    }
  }
  Tensor norm(int kind) const {
    if (kind == 0) return grouped_layer_norm(x, groups, gammas, betas);
    if (kind == 1) return add_layer_norm(x, delta, {}, groups, gammas, betas).norm;
    return gelu_layer_norm(x, groups, gammas, betas);
  }
  Tensor linear(const Tensor& y) const { return grouped_linear(y, groups, weights, biases); }
  Tensors leaves(int kind) const {
    Tensors all{x};
    if (kind == 1) all.push_back(delta);
    for (const Tensors* list : {&gammas, &betas, &weights, &biases}) {
      all.insert(all.end(), list->begin(), list->end());
    }
    return all;
  }
};

const char* const kKinds[] = {"layer_norm", "add_layer_norm", "gelu_layer_norm"};

Tensors gradients(const Tensor& y, const Tensors& leaves, bool create_graph) {
  const Tensor loss = sum(y * y);
  return grad(std::span(&loss, 1), leaves, {.create_graph = create_graph});
}

TEST(Remake, GivesTheBitsThatKeepingGives) {
  for (int kind = 0; kind < 3; ++kind) {
    for (DType dtype : {DType::f32, DType::f64, DType::bf16}) {
      for (bool recorded : {false, true}) {
        const Chain c(dtype);
        const Tensors remade = gradients(c.linear(c.norm(kind)), c.leaves(kind), recorded);
        // A view of the norm is kept: only the norm itself can be made again.
        const Tensor view = reshape(reshape(c.norm(kind), {kRows * kWidth}), {kRows, kWidth});
        const Tensors kept = gradients(c.linear(view), c.leaves(kind), recorded);
        for (size_t i = 0; i < kept.size(); ++i) {
          EXPECT_EQ(values(remade[i]), values(kept[i]))
              << kKinds[kind] << ", leaf " << i << (recorded ? ", recorded" : "");
        }
      }
    }
  }
}

TEST(Remake, SecondDerivativesGoThroughWhatIsRemade) {
  for (int kind = 0; kind < 3; ++kind) {
    const Chain c(DType::f64);
    const auto second = [&](const Tensor& input) {
      const Tensors first = gradients(c.linear(input), c.leaves(kind), true);
      const Tensor loss = sum(square(first[0]));
      return grad(std::span(&loss, 1), c.leaves(kind), {});
    };
    const Tensors remade = second(c.norm(kind));
    const Tensors kept = second(reshape(reshape(c.norm(kind), {kRows * kWidth}), {kRows, kWidth}));
    for (size_t i = 0; i < kept.size(); ++i) {
      EXPECT_EQ(values(remade[i]), values(kept[i])) << kKinds[kind] << " " << i;
    }
  }
}

TEST(Remake, TheProductKeepsNothingOfTheNorm) {
  for (int kind = 0; kind < 3; ++kind) {
    const Chain c(DType::f32);
    Tensor norm = c.norm(kind);
    const std::weak_ptr<Storage> memory = norm.storage();
    const Tensor y = c.linear(norm);
    norm = Tensor();
    EXPECT_TRUE(memory.expired()) << kKinds[kind];
    backward(sum(y));
    EXPECT_TRUE(c.x.grad().defined()) << kKinds[kind];
  }
}

TEST(Remake, AParameterOfTheNormThatChangedIsNamed) {
  const Chain c(DType::f32);
  const Tensor y = sum(c.linear(c.norm(2)));
  fill_(c.gammas[0].detach(), 3);
  EXPECT_ERROR(backward(y), StateError,
               "backward of gelu_layer_norm: a tensor (6) that it saved was changed in place by "
               "fill_ since");
}

TEST(Remake, AGraphThatWasFreedSaysSo) {
  const Chain c(DType::f32);
  const Tensor norm = c.norm(0), y = sum(c.linear(norm));
  backward(sum(norm));  // frees what the norm saved
  EXPECT_ERROR(backward(y), StateError,
               "backward: this graph was freed by an earlier walk; pass retain_graph to the first");
}

}  // namespace
}  // namespace tessera::testing
