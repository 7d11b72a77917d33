#pragma once

#include <string_view>
#include <vector>

#include "tensor/base/backend_types.h"
#include "tensor/ops/matmul.h"

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
