#include "tensor/ops/layer_norm.h"

#include <array>

#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/norm_internal.h"
#include "tensor/ops/op_internal.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera {

namespace {

/// All checked.
Tensor norm_rows(const Tensor& x, const RowGroups& groups, std::span<const Tensor> gammas,
                 std::span<const Tensor> betas, double eps) {
  if (x.numel() > 0) {
    const Tensor rows = detail::as_row_view(x);
    const detail::NormParameters parameters(groups, gammas, betas);
    const auto [y, mean, rstd] = detail::norm_outputs(
        rows, groups.rows(), [&](ConstView in, View out, View means, View rstds) {
          return detail::backend_of(x).try_layer_norm(in, parameters.views(), eps, out, means,
                                                      rstds);
        });
    if (y.defined()) {
      record(LayerNorm(groups, eps), detail::norm_inputs({rows}, groups, gammas, betas),
             std::array{y}, std::array{mean, rstd});
      return y;
    }
  }
  return composed::grouped_layer_norm(x.to(compute_dtype(x.dtype())), groups, gammas, betas, eps)
      .to(x.dtype());
}

/// The factor of each row, as it broadcasts to x.
Tensor scaled(const Tensor& delta, const Tensor& row_scale) {
  return row_scale.defined() ? delta * reshape(row_scale, {row_scale.numel(), 1}) : delta;
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
  int64_t rows = 1;
  for (int i = 0; i + 1 < x.rank(); ++i) rows *= x.shape()[i];
  const RowGroups groups{{rows}};
  const std::span<const Tensor> gammas(&gamma, 1), betas(&beta, 1);
  detail::check_norm("layer_norm", x, groups, gammas, betas, eps);
  return norm_rows(x, groups, gammas, betas, eps);
}

Tensor grouped_layer_norm(const Tensor& x, const RowGroups& groups, std::span<const Tensor> gammas,
                          std::span<const Tensor> betas, double eps) {
  detail::check_norm("grouped_layer_norm", x, groups, gammas, betas, eps);
  return norm_rows(x, groups, gammas, betas, eps);
}

SumAndNorm add_layer_norm(const Tensor& x, const Tensor& delta, const Tensor& row_scale,
                          const RowGroups& groups, std::span<const Tensor> gammas,
                          std::span<const Tensor> betas, double eps) {
  detail::check_rank("add_layer_norm", "x", x, 2, "(N, C)");
  detail::check_norm("add_layer_norm", x, groups, gammas, betas, eps);
  check<ShapeError>(delta.shape() == x.shape(), "add_layer_norm: delta is {}, but x is {}",
                    delta.shape(), x.shape());
  detail::check_alike("add_layer_norm", "x", x, "delta", delta);
  if (row_scale.defined()) {
    check<ShapeError>(row_scale.rank() == 1 && row_scale.size(0) == x.size(0),
                      "add_layer_norm: row_scale is {}, but x {} has {} rows", row_scale.shape(),
                      x.shape(), x.size(0));
    detail::check_parameter("add_layer_norm", "row_scale", row_scale, x);
  }
  if (x.numel() > 0) {
    const Tensor x_rows = detail::as_row_view(x), delta_rows = detail::as_row_view(delta);
    const Tensor scale = row_scale.defined() ? row_scale.contiguous() : row_scale;
    const Tensor sum = empty(x.shape(), x.options()), norm = empty(x.shape(), x.options());
    const TensorOptions wide{compute_dtype(x.dtype()), x.device()};
    const Tensor mean = empty({x.size(0)}, wide), rstd = empty({x.size(0)}, wide);
    const detail::NormParameters parameters(groups, gammas, betas);
    if (detail::backend_of(x).try_add_layer_norm(
            x_rows.view(), delta_rows.view(), detail::optional_view(scale), parameters.views(), eps,
            sum.mutable_view(), norm.mutable_view(), mean.mutable_view(), rstd.mutable_view())) {
      record(AddLayerNorm(groups, eps),
             detail::norm_inputs({x_rows, delta_rows, scale}, groups, gammas, betas),
             std::array{sum, norm}, std::array{mean, rstd});
      return {sum, norm};
    }
  }
  if (is_16_bit(x.dtype())) {
    // Of the sum as it is rounded, since that is what is kept: the norm is made again from it.
    const Tensor sum = (x.to(DType::f32) + scaled(delta.to(DType::f32), row_scale)).to(x.dtype());
    return {sum, norm_rows(sum, groups, gammas, betas, eps)};
  }
  return composed::add_layer_norm(x, delta, row_scale, groups, gammas, betas, eps);
}

Tensor composed::layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
  const Tensor centred = x - mean(x, {-1}, KeepDims::yes);
  const Tensor variance = mean(square(centred), {-1}, KeepDims::yes);
  return centred * rsqrt(variance + eps) * gamma + beta;
}

Tensor composed::grouped_layer_norm(const Tensor& x, const RowGroups& groups,
                                    std::span<const Tensor> gammas, std::span<const Tensor> betas,
                                    double eps) {
  // One range may have any leading axes.
  if (groups.size() == 1) return composed::layer_norm(x, gammas[0], betas[0], eps);
  Tensors parts;
  for (size_t i = 0; i < groups.size(); ++i) {
    parts.push_back(composed::layer_norm(slice(x, 0, groups.begin(i), groups.end(i)), gammas[i],
                                         betas[i], eps));
  }
  return concat(parts);
}

SumAndNorm composed::add_layer_norm(const Tensor& x, const Tensor& delta, const Tensor& row_scale,
                                    const RowGroups& groups, std::span<const Tensor> gammas,
                                    std::span<const Tensor> betas, double eps) {
  const Tensor total = x + scaled(delta, row_scale);
  return {total, composed::grouped_layer_norm(total, groups, gammas, betas, eps)};
}

kernels::NormGrad kernels::layer_norm_backward(const Tensor& g, const Tensor& x,
                                               const RowGroups& groups,
                                               std::span<const Tensor> gammas, const Tensor& mean,
                                               const Tensor& rstd, const Tensor& residual,
                                               std::span<const Sink> dgamma,
                                               std::span<const Sink> dbeta) {
  const Tensor g_rows = detail::as_row_view(g.detach()), x_rows = detail::as_row_view(x.detach());
  Tensor residual_rows;
  if (residual.defined()) residual_rows = detail::as_row_view(residual.detach());
  const Tensor dx = empty(x.shape(), g.options());
  const detail::NormParameters parameters(groups, gammas, {});
  detail::NormSinks sinks(groups, gammas, dgamma, dbeta);
  if (!detail::run_narrow_or_computed(x_rows, [&](const Tensor& in) {
        return detail::backend_of(x).try_layer_norm_backward(
            g_rows.view(), in.view(), parameters.views(), mean.view(), rstd.view(),
            detail::optional_view(residual_rows), dx.mutable_view(), sinks.views());
      })) {
    return {};
  }
  sinks.finish("layer_norm_backward");
  return {dx, std::move(sinks.dgamma), std::move(sinks.dbeta)};
}

}  // namespace tessera
