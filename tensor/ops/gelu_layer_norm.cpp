#include "tensor/ops/gelu_layer_norm.h"

#include <array>

#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/norm_internal.h"
#include "tensor/ops/op_internal.h"

namespace tessera {

Tensor gelu_layer_norm(const Tensor& x, const RowGroups& groups, std::span<const Tensor> gammas,
                       std::span<const Tensor> betas, double eps) {
  detail::check_norm("gelu_layer_norm", x, groups, gammas, betas, eps);
  if (x.numel() > 0) {
    const Tensor rows = detail::as_row_view(x);
    const detail::NormParameters parameters(groups, gammas, betas);
    const auto [y, mean, rstd] = detail::norm_outputs(
        rows, groups.rows(), [&](ConstView in, View out, View means, View rstds) {
          return detail::backend_of(x).try_gelu_layer_norm(in, parameters.views(), eps, out, means,
                                                           rstds);
        });
    if (y.defined()) {
      record(GeluLayerNorm(groups, eps), detail::norm_inputs({rows}, groups, gammas, betas),
             std::array{y}, std::array{mean, rstd});
      return y;
    }
  }
  return composed::gelu_layer_norm(x.to(compute_dtype(x.dtype())), groups, gammas, betas, eps)
      .to(x.dtype());
}

Tensor composed::gelu_layer_norm(const Tensor& x, const RowGroups& groups,
                                 std::span<const Tensor> gammas, std::span<const Tensor> betas,
                                 double eps) {
  return composed::grouped_layer_norm(gelu(x), groups, gammas, betas, eps);
}

kernels::NormGrad kernels::gelu_layer_norm_backward(const Tensor& g, const Tensor& x,
                                                    const RowGroups& groups,
                                                    std::span<const Tensor> gammas,
                                                    const Tensor& mean, const Tensor& rstd,
                                                    std::span<const Sink> dgamma,
                                                    std::span<const Sink> dbeta) {
  const Tensor g_rows = detail::as_row_view(g.detach()), x_rows = detail::as_row_view(x.detach());
  const Tensor dx = empty(x.shape(), g.options());
  const detail::NormParameters parameters(groups, gammas, {});
  detail::NormSinks sinks(groups, gammas, dgamma, dbeta);
  if (!detail::run_narrow_or_computed(x_rows, [&](const Tensor& in) {
        return detail::backend_of(x).try_gelu_layer_norm_backward(
            g_rows.view(), in.view(), parameters.views(), mean.view(), rstd.view(),
            dx.mutable_view(), sinks.views());
      })) {
    return {};
  }
  sinks.finish("gelu_layer_norm_backward");
  return {dx, std::move(sinks.dgamma), std::move(sinks.dbeta)};
}

}  // namespace tessera
