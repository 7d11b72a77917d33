#include "tensor/ops/matmul.h"

#include <algorithm>

#include "autograd/rule_table.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera {
namespace {

/// x as a matrix whose rows are all but the last axis.
Tensor flat_rows(const Tensor& x) {
  int64_t rows = 1;
  for (int i = 0; i + 1 < x.rank(); ++i) rows *= x.shape()[i];
  return reshape(x, {rows, x.size(-1)});
}

/// c = op(a) op(b)
Tensors matmul_gradients(const MatMul& op, Saved& s, Tensor g) {
  const bool ta = op.transpose_a, tb = op.transpose_b;
  Tensors results(2);
  if (s.needs(0)) {
    const Tensor b = s.input(1);
    results[0] = ta ? matmul(b, g, {.transpose_a = tb, .transpose_b = true})
                    : matmul(g, b, {.transpose_b = !tb});
  }
  if (s.needs(1)) {
    Tensor a = s.input(0);
    if (!ta && s.input_info(1).shape.rank() == 2 && a.rank() > 2) {
      // One b for all batches: its gradient is one product, not a sum of many.
      a = flat_rows(a);
      g = flat_rows(g);
    }
    results[1] = tb ? matmul(g, a, {.transpose_a = true, .transpose_b = ta})
                    : matmul(a, g, {.transpose_a = !ta});
  }
  return results;
}

/// Inputs of grouped_linear are x, the weights, the biases: how many groups?
size_t group_count(size_t inputs) { return (inputs - 1) / 2; }

SavePlan linear_plan(const Wanted& wanted, size_t) {
  const size_t n = group_count(wanted.size());
  SavePlan plan{.remade = 1};
  for (size_t i = 1; i <= n; ++i) {
    if (wanted[i]) plan.inputs |= 1;
    if (wanted[0]) plan.inputs |= 1ull << std::min<size_t>(i, 63);
  }
  return plan;
}

std::optional<Tensors> linear_fast(const GroupedLinear& op, Saved& s, Tensor& g) {
  const size_t n = group_count(s.input_count());
  const Tensors saved = s.inputs();
  kernels::LinearGrad grad =
      kernels::grouped_linear_backward(g, saved[0], op.groups, std::span(saved).subspan(1, n),
                                       s.needs(0), s.sinks(1, n), s.sinks(1 + n, n));
  Tensors results(1 + 2 * n);
  results[0] = std::move(grad.dx);
  std::move(grad.dw.begin(), grad.dw.end(), results.begin() + 1);
  std::move(grad.db.begin(), grad.db.end(), results.begin() + 1 + static_cast<std::ptrdiff_t>(n));
  return results;
}

/// Each range: dx = g W, dW = g^T x, db = sum of g's rows.
Tensors linear_exact(const GroupedLinear& op, Saved& s, Tensor g) {
  const size_t n = group_count(s.input_count());
  Tensors results(1 + 2 * n), dx;
  const Tensors saved = s.inputs();
  for (size_t i = 0; i < n; ++i) {
    const int64_t begin = op.groups.begin(i), end = op.groups.end(i);
    const Tensor rows = slice(g, 0, begin, end);
    if (s.needs(0)) dx.push_back(matmul(rows, saved[1 + i]));
    if (s.needs(1 + i)) {
      results[1 + i] = matmul(rows, slice(saved[0], 0, begin, end), {.transpose_a = true});
    }
    if (s.needs(1 + n + i)) results[1 + n + i] = sum(rows, {0});
  }
  if (s.needs(0)) results[0] = n == 1 ? dx[0] : concat(dx);
  return results;
}

}  // namespace

void add_matmul_rules(RuleTable& table) {
  table.add<MatMul>(Save::factors, matmul_gradients);
  table.add_fused<GroupedLinear>(linear_plan, linear_fast, linear_exact);
}

}  // namespace tessera
