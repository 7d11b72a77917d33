#pragma once

#include <optional>

#include "tensor/ops/attention.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/matmul.h"
#include "tests/testing/rounded.h"

/// Plain loops for what the library has kernels for. They share no code with it; formulas are those
/// of the docstrings.
namespace tessera::testing::reference {

using Row = std::vector<Rounded>;

/// Elements of x, row-major, as exact numbers.
Row elements(const Tensor& x);
/// The same elements in their order, as another shape.
Grid refilled(const Tensor& x, const Shape& shape);

/// Folds x over `axes` (kept, with size 1): f(the elements that meet in one place).
Grid folded(const Tensor& x, const std::vector<int>& axes,
            const std::function<Rounded(const Row&)>& f);

Rounded mean(const Row& row);
/// mean((x - mean(x))^2)
Rounded variance(const Row& row);
/// m + log(sum exp(x - m)), m the largest element
Rounded log_sum_exp(const Row& row);
Row softmax(const Row& row);
/// (x - mean) / sqrt(var + eps) gamma + beta
Row normalized(const Row& row, const Tensor& gamma, const Tensor& beta, double eps);
/// x Phi(x)
Rounded gelu(const Rounded& x);

/// Batched product of the last two axes, which `options` may exchange first.
Grid matmul(const Tensor& a, const Tensor& b, const MatMulOptions& options);
/// x W^T + b over the last axis of x, rows of `groups` each with their own.
Grid grouped_linear(const Tensor& x, const RowGroups& groups, std::span<const Tensor> weights,
                    std::span<const Tensor> biases);
/// Layer norm of rows (after `before`, elementwise), each range with its own parameters.
Grid grouped_norm(const Grid& x, const RowGroups& groups, std::span<const Tensor> gammas,
                  std::span<const Tensor> betas, double eps);
Grid attention(const Tensor& qkv, const Segments& segments, AttentionRule rule, double scale);
/// Losses of the rows of logits (N, V).
Grid cross_entropy(const Grid& logits, const std::vector<int64_t>& labels,
                   const CrossEntropyOptions& options);

/// x as exact numbers.
Grid exact(const Tensor& x);
/// f of each element.
Grid mapped(const Grid& x, const std::function<Rounded(const Rounded&)>& f);

}  // namespace tessera::testing::reference
