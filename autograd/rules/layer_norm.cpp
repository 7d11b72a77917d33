#include "tensor/ops/layer_norm.h"

#include "autograd/rule_table.h"
#include "autograd/rules/norm_internal.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera {
namespace {

void add_layer_norm(RuleTable& table) {
  table.add_fused<LayerNorm>(
      Save::inputs,
      [](const LayerNorm& op, Saved& s, Tensor& g) -> std::optional<Tensors> {
        const size_t n = op.groups.size();
        kernels::NormGrad grad = kernels::layer_norm_backward(
            g, s.input_as_kept(0), op.groups, detail::saved_range(s, 1, n), s.statistic(0),
            s.statistic(1), {}, s.sinks(1, n), s.sinks(1 + n, n));
        const Tensor dx = grad.dx;
        return detail::norm_results({dx}, std::move(grad));
      },
      vjp_of<LayerNorm>([](const LayerNorm& op, const Tensors& in) {
        const size_t n = op.groups.size();
        const auto parameters = std::span(in).subspan(1);
        return composed::grouped_layer_norm(in[0], op.groups, parameters.first(n),
                                            parameters.last(n), op.eps);
      }));
  table.can_remake<LayerNorm>(0, [](const LayerNorm& op, Saved& s) {
    const size_t n = op.groups.size();
    return grouped_layer_norm(s.input_as_kept(0), op.groups, detail::saved_range(s, 1, n),
                              detail::saved_range(s, 1 + n, n), op.eps);
  });
}

// Places of the inputs of add_layer_norm: x, delta, row_scale, gammas, betas.
constexpr size_t kDelta = 1, kRowScale = 2, kGammas = 3;

/// The sum stands for x and delta, neither of which is kept. Only the gradient of row_scale asks
/// for delta.
SavePlan add_norm_plan(const Wanted& wanted, size_t) {
  const uint64_t addends = 0b11, delta = 1ull << kDelta;
  return {(~0ull & ~addends) | (wanted[kRowScale] ? delta : 0), 0b01};
}

/// sum = x + row_scale * delta: the first three gradients, from that of the sum.
Tensors split_sum(Saved& s, const Tensor& dsum) {
  Tensors results{dsum, dsum, Tensor()};
  if (s.input_info(kRowScale).shape.rank() == 0) return results;  // no row_scale
  const int64_t rows = dsum.size(0);
  if (s.needs(kDelta)) results[kDelta] = dsum * reshape(s.input(kRowScale), {rows, 1});
  if (s.needs(kRowScale)) results[kRowScale] = sum(dsum * s.input(kDelta), {1});
  return results;
}

std::optional<Tensors> add_norm_fast(const AddLayerNorm& op, Saved& s, Tensors& g) {
  const size_t n = op.groups.size();
  if (!g[1].defined()) {
    Tensors results = split_sum(s, g[0]);
    results.resize(s.input_count());
    return results;
  }
  kernels::NormGrad grad = kernels::layer_norm_backward(
      g[1], s.output_as_kept(0), op.groups, detail::saved_range(s, kGammas, n), s.statistic(0),
      s.statistic(1), g[0], s.sinks(kGammas, n), s.sinks(kGammas + n, n));
  if (!grad.dx.defined()) return std::nullopt;
  Tensors first = split_sum(s, grad.dx);
  return detail::norm_results(std::move(first), std::move(grad));
}

Tensors add_norm_exact(const AddLayerNorm& op, Saved& s, Tensors g) {
  const size_t n = op.groups.size();
  Tensor dsum = g[0];
  Tensors parameters(2 * n);
  if (g[1].defined()) {
    Tensors at{s.output(0)};
    std::vector<bool> wanted{true};
    for (size_t i = kGammas; i < kGammas + 2 * n; ++i) {
      at.push_back(s.input(i));
      wanted.push_back(s.needs(i));
    }
    const Tensors found = vjp(
        [&](const Tensors& in) -> Tensors {
          const auto all = std::span(in).subspan(1);
          return {
              composed::grouped_layer_norm(in[0], op.groups, all.first(n), all.last(n), op.eps)};
        },
        at, {g[1]}, wanted);
    dsum = dsum.defined() ? dsum + found[0] : found[0];
    parameters.assign(found.begin() + 1, found.end());
  }
  Tensors results = split_sum(s, dsum);
  results.insert(results.end(), parameters.begin(), parameters.end());
  return results;
}

}  // namespace

void add_layer_norm_rules(RuleTable& table) {
  add_layer_norm(table);
  table.add_fused<AddLayerNorm>(add_norm_plan, add_norm_fast, add_norm_exact);
  table.can_remake<AddLayerNorm>(1, [](const AddLayerNorm& op, Saved& s) {
    const size_t n = op.groups.size();
    return grouped_layer_norm(s.output_as_kept(0), op.groups, detail::saved_range(s, kGammas, n),
                              detail::saved_range(s, kGammas + n, n), op.eps);
  });
}

}  // namespace tessera
