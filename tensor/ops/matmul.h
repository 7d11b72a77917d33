#pragma once

#include "tensor/ops/row_groups.h"
#include "tensor/record.h"

namespace tessera {

/// c = op(a) op(b), where op transposes the last two axes if asked.
struct MatMul final : Op {
  bool transpose_a, transpose_b;
  MatMul(bool ta, bool tb) : transpose_a(ta), transpose_b(tb) {}
  std::string_view name() const override { return "matmul"; }
};
/// inputs: x, then W of every group, then b of every group (undefined: none).
struct GroupedLinear final : Op {
  RowGroups groups;
  explicit GroupedLinear(RowGroups g) : groups(std::move(g)) {}
  std::string_view name() const override { return "grouped_linear"; }
};

struct MatMulOptions {
  bool transpose_a = false;
  bool transpose_b = false;
};

/// Matrix product over the last two axes; leading axes broadcast.
///
/// a  (..., M, K), or (..., K, M) with transpose_a; floating
/// b  (..., K, N), or (..., N, K) with transpose_b; same dtype
/// returns (..., M, N). 16-bit inputs are multiplied in f32.
Tensor matmul(const Tensor& a, const Tensor& b, const MatMulOptions& options = {});

/// y = x W^T + b
///
/// x (..., in), W (out, in), b (out) or undefined -> (..., out) of x's dtype.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

/// Each range of rows with its own W and b.
///
/// x (N, in), weights[i] (out, in), biases[i] (out) or undefined -> (N, out)
/// Composition: linear of each range, concatenated.
Tensor grouped_linear(const Tensor& x, const RowGroups& groups, std::span<const Tensor> weights,
                      std::span<const Tensor> biases);

namespace composed {
Tensor grouped_linear(const Tensor& x, const RowGroups& groups, std::span<const Tensor> weights,
                      std::span<const Tensor> biases);
}

namespace kernels {
/// Gradients of grouped_linear in one call. Undefined results were not asked for. x may be
/// undefined if no weight wants its gradient, and the weights if `want_dx` is false.
struct LinearGrad {
  Tensor dx;
  Tensors dw, db;  // one a group; undefined where a sink took it or nobody wants it
};
/// Where a parameter's gradient goes: `into` undefined means a fresh tensor, `accumulate` adds.
struct Sink {
  Tensor into{};
  bool accumulate = false;
  bool wanted = false;
};
LinearGrad grouped_linear_backward(const Tensor& g, const Tensor& x, const RowGroups& groups,
                                   std::span<const Tensor> weights, bool want_dx,
                                   std::span<const Sink> dw, std::span<const Sink> db);
}  // namespace kernels

}  // namespace tessera
