#pragma once

#include <span>
#include <string_view>

#include "tensor/base/backend_types.h"
#include "tensor/base/device.h"
#include "tensor/base/rng.h"
#include "tensor/base/scalar_math.h"

namespace tessera {

/// Everything a device must be able to do. The class is the complete list.
///
/// Contract: shapes and dtypes have been checked, outputs are allocated. *Family* kernels take any
/// strides, zero included (outputs never have zero strides). *Fused* kernels and products take row
/// views (last axis contiguous, the others one row stride); the op makes them so. An output
/// overlaps no input unless the function says `in place` or `accumulate`. A kernel allocates
/// nothing but scratch that ends with the call, and never waits for the device.
///
/// A pure virtual is something every backend must have. A `try_` with a default is an optimisation:
/// false means "not this case", and the op computes its composition instead.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string_view name() const = 0;

  // ---- memory; nothing here waits except copy_to_host and synchronize ----

  /// 64-byte aligned, contents undefined. Throws OutOfMemory. bytes = 0 is allowed.
  virtual void* allocate(size_t bytes) = 0;
  virtual void free(void* p) noexcept = 0;
  virtual void copy_from_host(void* to, const void* from, size_t bytes) = 0;
  virtual void copy_to_host(void* to, const void* from, size_t bytes) = 0;
  virtual void synchronize() = 0;
  virtual MemoryStats memory_stats() const = 0;
  virtual void reset_peak() = 0;
  virtual void release_cache() = 0;

  // ---- families ----

  virtual void fill(double value, View y) = 0;
  /// y[i] = start + i * step for the i-th element; y is contiguous.
  virtual void arange(double start, double step, View y) = 0;
  /// Copies, converting the dtype (to boolean: x != 0; float to integer truncates).
  virtual void copy(ConstView x, View y) = 0;
  /// f32, f64, bf16 (computed in f32); neg, abs, square, add_scalar, mul_scalar also i64. y may be
  /// x.
  virtual void unary(UnaryOp f, ConstView x, View y) = 0;
  /// f32, f64, bf16, i64; on boolean, mul is "and", maximum is "or". Shapes are equal. y may be a.
  virtual void binary(BinaryOp f, ConstView a, ConstView b, View y) = 0;
  /// a, b of one dtype, any; y boolean.
  virtual void compare(CompareOp f, ConstView a, ConstView b, View y) = 0;
  /// y = condition ? a : b
  virtual void where(ConstView condition, ConstView a, ConstView b, View y) = 0;
  /// Reduces the axes where y has size 1 and x does not (equal rank). 16-bit types are summed in
  /// f32. `accumulate` (sum only): y += sum(x). Max and min of nothing are -inf and inf.
  virtual void reduce(ReduceOp f, ConstView x, View y, bool accumulate = false) = 0;
  /// y (i64) has size 1 on `axis`: index of the first largest element (NaN counts as largest).
  virtual void argmax(ConstView x, int axis, View y) = 0;
  /// y takes x's slices index[0], index[1], … along `axis`. index (n) i64, already checked.
  virtual void index_select(ConstView x, ConstView index, int axis, View y) = 0;
  /// y's slice index[i] += x's slice i, i ascending (same bits for any thread count).
  virtual void index_add(ConstView x, ConstView index, int axis, View y) = 0;
  /// y[.., i, ..] = x[.., index[.., i, ..], ..] on `axis`; index and y have one shape.
  virtual void gather(ConstView x, ConstView index, int axis, View y) = 0;
  /// y[.., index[.., i, ..], ..] += x[.., i, ..] on `axis`, i ascending.
  virtual void scatter_add(ConstView x, ConstView index, int axis, View y) = 0;
  /// [0, 1): element i (row-major) is word i % 4 of philox(key, i / 4). y contiguous f32 or f64.
  virtual void uniform(RandomKey key, View y) = 0;
  /// Standard normal by Box-Muller on the words of philox(key, i / 4). y contiguous f32 or f64.
  virtual void normal(RandomKey key, View y) = 0;
  /// y[i] = uniform_i(key) >= p ? x[i] * (1 / (1 - p)) : 0, uniform as above, the factor rounded to
  /// the dtype first. y may be x. Contiguous.
  virtual void dropout(RandomKey key, double p, ConstView x, View y) = 0;
  /// All products, independent of each other, as one piece of work. f32 or f64.
  virtual void products(std::span<const Product> products) = 0;

  // ---- updates, in place, never recorded ----

  /// y = sqrt(sum of squares over all tensors); y is a scalar of the tensors' dtype.
  virtual void global_norm(std::span<const ConstView> tensors, View y) = 0;
  /// AdamW over many tensors, one pass each, moving average included.
  virtual void adamw(std::span<const AdamWTensor> tensors, const AdamWArgs& args) = 0;

  // ---- fused kernels: f32 and f64 row views ----

  /// Softmax over the last axis.
  [[nodiscard]] virtual bool try_softmax(ConstView, View) { return false; }
  /// dx = y (g - sum(g y)); dx may be g.
  [[nodiscard]] virtual bool try_softmax_backward(ConstView /*g*/, ConstView /*y*/, View /*dx*/) {
    return false;
  }

  /// y = norm(x) over the last axis with each group's parameters; mean, rstd (rows). x and y of all
  /// norms, and delta and sum, may be bf16 beside f32 parameters, statistics and gradients.
  [[nodiscard]] virtual bool try_layer_norm(ConstView /*x*/, std::span<const NormGroup>,
                                            double /*eps*/, View /*y*/, View /*mean*/,
                                            View /*rstd*/) {
    return false;
  }
  /// dx = dnorm(g) (+ residual, where given). dx may be residual or g.
  [[nodiscard]] virtual bool try_layer_norm_backward(ConstView /*g*/, ConstView /*x*/,
                                                     std::span<const NormGroup>, ConstView /*mean*/,
                                                     ConstView /*rstd*/, ConstView /*residual*/,
                                                     View /*dx*/, std::span<const NormGroupGrad>) {
    return false;
  }

  /// sum = x + row_scale * delta (row_scale (rows), may be absent: 1); y = norm(sum).
  /// sum may be x or delta. A bf16 sum is rounded before the norm.
  [[nodiscard]] virtual bool try_add_layer_norm(ConstView /*x*/, ConstView /*delta*/,
                                                ConstView /*row_scale*/, std::span<const NormGroup>,
                                                double /*eps*/, View /*sum*/, View /*y*/,
                                                View /*mean*/, View /*rstd*/) {
    return false;
  }

  /// y = norm(gelu(x)); the statistics are those of gelu(x).
  [[nodiscard]] virtual bool try_gelu_layer_norm(ConstView /*x*/, std::span<const NormGroup>,
                                                 double /*eps*/, View /*y*/, View /*mean*/,
                                                 View /*rstd*/) {
    return false;
  }
  /// dx may be g.
  [[nodiscard]] virtual bool try_gelu_layer_norm_backward(ConstView /*g*/, ConstView /*x*/,
                                                          std::span<const NormGroup>,
                                                          ConstView /*mean*/, ConstView /*rstd*/,
                                                          View /*dx*/,
                                                          std::span<const NormGroupGrad>) {
    return false;
  }

  /// dx = g gelu'(x); dx may be g.
  [[nodiscard]] virtual bool try_gelu_backward(ConstView /*g*/, ConstView /*x*/, View /*dx*/) {
    return false;
  }

  /// qkv (N, 3, H, D) -> y (N, H, D) and log-sum-exp (N, H) of the scaled scores. The segments
  /// cover every row once.
  [[nodiscard]] virtual bool try_segmented_attention(ConstView /*qkv*/, const AttentionArgs&,
                                                     View /*y*/, View /*lse*/) {
    return false;
  }
  [[nodiscard]] virtual bool try_segmented_attention_backward(ConstView /*g*/, ConstView /*qkv*/,
                                                              ConstView /*y*/, ConstView /*lse*/,
                                                              const AttentionArgs&, View /*dqkv*/) {
    return false;
  }

  /// logits (rows, V), labels (rows) i64 -> loss (rows), log-sum-exp (rows), best (rows) i64: the
  /// first largest logit.
  [[nodiscard]] virtual bool try_cross_entropy(ConstView /*logits*/, ConstView /*labels*/,
                                               const CrossEntropyArgs&, View /*loss*/, View /*lse*/,
                                               View /*best*/) {
    return false;
  }
  /// g (rows) -> dlogits.
  [[nodiscard]] virtual bool try_cross_entropy_backward(ConstView /*g*/, ConstView /*logits*/,
                                                        ConstView /*labels*/, ConstView /*lse*/,
                                                        const CrossEntropyArgs&, View /*dlogits*/) {
    return false;
  }

  /// The same of logits = x w^T + bias, by blocks of rows. x (rows, C), w (V, C), bias (V) may be
  /// absent.
  [[nodiscard]] virtual bool try_linear_cross_entropy(ConstView /*x*/, ConstView /*w*/,
                                                      ConstView /*bias*/, ConstView /*labels*/,
                                                      const CrossEntropyArgs&, View /*loss*/,
                                                      View /*lse*/, View /*best*/) {
    return false;
  }
  /// dx, dw, dbias: each absent if not wanted; `accumulate_…`: add instead of replacing.
  struct LinearCrossEntropyGrad {
    View dx, dw, dbias;
    bool accumulate_w = false, accumulate_bias = false;
  };
  [[nodiscard]] virtual bool try_linear_cross_entropy_backward(
      ConstView /*g*/, ConstView /*x*/, ConstView /*w*/, ConstView /*bias*/, ConstView /*labels*/,
      ConstView /*lse*/, const CrossEntropyArgs&, const LinearCrossEntropyGrad&) {
    return false;
  }
};

}  // namespace tessera
