#pragma once

#include "tensor/base/backend.h"

namespace tessera {

/// The host. Each family or fused op lies in the file of its name; this class is their list.
class CpuBackend final : public Backend {
 public:
  std::string_view name() const override { return "cpu"; }

  void* allocate(size_t bytes) override;
  void free(void* p) noexcept override;
  void copy_from_host(void* to, const void* from, size_t bytes) override;
  void copy_to_host(void* to, const void* from, size_t bytes) override;
  void synchronize() override {}
  MemoryStats memory_stats() const override;
  void reset_peak() override;
  void release_cache() override;

  // elementwise.cpp
  void fill(double value, View y) override;
  void arange(double start, double step, View y) override;
  void unary(UnaryOp f, ConstView x, View y) override;
  void binary(BinaryOp f, ConstView a, ConstView b, View y) override;
  void compare(CompareOp f, ConstView a, ConstView b, View y) override;
  void where(ConstView condition, ConstView a, ConstView b, View y) override;

  // copy.cpp
  void copy(ConstView x, View y) override;

  // reduce.cpp
  void reduce(ReduceOp f, ConstView x, View y, bool accumulate = false) override;
  void argmax(ConstView x, int axis, View y) override;

  // index.cpp
  void index_select(ConstView x, ConstView index, int axis, View y) override;
  void index_add(ConstView x, ConstView index, int axis, View y) override;
  void gather(ConstView x, ConstView index, int axis, View y) override;
  void scatter_add(ConstView x, ConstView index, int axis, View y) override;

  // random.cpp
  void uniform(RandomKey key, View y) override;
  void normal(RandomKey key, View y) override;
  void dropout(RandomKey key, double p, ConstView x, View y) override;

  // gemm.cpp
  void products(std::span<const Product> products) override;

  // update.cpp
  void global_norm(std::span<const ConstView> tensors, View y) override;
  void adamw(std::span<const AdamWTensor> tensors, const AdamWArgs& args) override;

  // softmax.cpp
  bool try_softmax(ConstView x, View y) override;
  bool try_softmax_backward(ConstView g, ConstView y, View dx) override;

  // layer_norm.cpp
  bool try_layer_norm(ConstView x, std::span<const NormGroup> groups, double eps, View y, View mean,
                      View rstd) override;
  bool try_layer_norm_backward(ConstView g, ConstView x, std::span<const NormGroup> groups,
                               ConstView mean, ConstView rstd, ConstView residual, View dx,
                               std::span<const NormGroupGrad> grads) override;
  bool try_add_layer_norm(ConstView x, ConstView delta, ConstView row_scale,
                          std::span<const NormGroup> groups, double eps, View sum, View y,
                          View mean, View rstd) override;

  // gelu_layer_norm.cpp
  bool try_gelu_layer_norm(ConstView x, std::span<const NormGroup> groups, double eps, View y,
                           View mean, View rstd) override;
  bool try_gelu_layer_norm_backward(ConstView g, ConstView x, std::span<const NormGroup> groups,
                                    ConstView mean, ConstView rstd, View dx,
                                    std::span<const NormGroupGrad> grads) override;

  // gelu_backward.cpp
  bool try_gelu_backward(ConstView g, ConstView x, View dx) override;

  // attention.cpp
  bool try_segmented_attention(ConstView qkv, const AttentionArgs& args, View y, View lse) override;
  bool try_segmented_attention_backward(ConstView g, ConstView qkv, ConstView y, ConstView lse,
                                        const AttentionArgs& args, View dqkv) override;

  // cross_entropy.cpp
  bool try_cross_entropy(ConstView logits, ConstView labels, const CrossEntropyArgs& args,
                         View loss, View lse, View best) override;
  bool try_cross_entropy_backward(ConstView g, ConstView logits, ConstView labels, ConstView lse,
                                  const CrossEntropyArgs& args, View dlogits) override;

  // linear_cross_entropy.cpp
  bool try_linear_cross_entropy(ConstView x, ConstView w, ConstView bias, ConstView labels,
                                const CrossEntropyArgs& args, View loss, View lse,
                                View best) override;
  bool try_linear_cross_entropy_backward(ConstView g, ConstView x, ConstView w, ConstView bias,
                                         ConstView labels, ConstView lse,
                                         const CrossEntropyArgs& args,
                                         const LinearCrossEntropyGrad& grad) override;
};

/// The one of this program; lives as long as the program.
CpuBackend& cpu_backend();

}  // namespace tessera
