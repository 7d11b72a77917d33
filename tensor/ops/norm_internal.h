#pragma once

#include <string_view>
#include <vector>

#include "tensor/base/backend_types.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/op_internal.h"

/// What layer_norm, add_layer_norm and gelu_layer_norm share.
namespace tessera::detail {

/// Checks x, groups and the parameters of every group. x may have any leading axes if there is one
/// group.
void check_norm(std::string_view op, const Tensor& x, const RowGroups& groups,
                std::span<const Tensor> gammas, std::span<const Tensor> betas, double eps);

/// Parameters as kernels see them; keeps contiguous copies of those that are not contiguous.
class NormParameters {
 public:
  NormParameters(const RowGroups& groups, std::span<const Tensor> gammas,
                 std::span<const Tensor> betas);
  std::span<const NormGroup> views() const { return views_; }

 private:
  std::vector<NormGroup> views_;
  Tensors kept_;
};

struct NormOutputs {
  Tensor y, mean, rstd;  // y undefined: the backend declined
};
/// Runs `kernel(x, y, mean, rstd)` on views of the rows, with 16-bit rows as they are or as f32.
template <class F>
NormOutputs norm_outputs(const Tensor& rows, int64_t count, F kernel) {
  const TensorOptions wide{compute_dtype(rows.dtype()), rows.device()};
  NormOutputs out{.y = {}, .mean = empty({count}, wide), .rstd = empty({count}, wide)};
  const bool ran = run_narrow_or_computed(rows, [&](const Tensor& in) {
    out.y = empty_like(in);
    return kernel(in.view(), out.y.mutable_view(), out.mean.mutable_view(),
                  out.rstd.mutable_view());
  });
  out.y = ran ? out.y.to(rows.dtype()) : Tensor();
  return out;
}

/// Gradients of the parameters: allocates those that have no sink.
class NormSinks {
 public:
  NormSinks(const RowGroups& groups, std::span<const Tensor> gammas,
            std::span<const kernels::Sink> dgamma, std::span<const kernels::Sink> dbeta);
  std::span<const NormGroupGrad> views() const { return views_; }
  /// Once the kernel has written: marks the sinks as changed by `op`.
  void finish(const char* op) const;

  Tensors dgamma, dbeta;  ///< one a group; undefined where a sink took the gradient

 private:
  std::vector<NormGroupGrad> views_;
  Tensors written_;
};

/// `first`, then gammas, then betas: the order of the records.
Tensors norm_inputs(std::initializer_list<Tensor> first, const RowGroups& groups,
                    std::span<const Tensor> gammas, std::span<const Tensor> betas);

}  // namespace tessera::detail
