#pragma once

#include "tensor/ops/matmul.h"
#include "tensor/record.h"

namespace tessera {

struct CrossEntropyOptions {
  int64_t ignore_index = -100;  ///< rows with this label count for nothing
  double label_smoothing = 0;   ///< mass spread evenly over all classes, in [0, 1)
};

/// inputs: logits, labels. outputs: loss. statistics: log-sum-exp.
struct CrossEntropy final : Op {
  CrossEntropyOptions options;
  explicit CrossEntropy(CrossEntropyOptions o) : options(o) {}
  std::string_view name() const override { return "cross_entropy"; }
};
/// inputs: x, W, b (undefined: none), labels. outputs: loss. statistics: log-sum-exp.
struct LinearCrossEntropy final : Op {
  CrossEntropyOptions options;
  explicit LinearCrossEntropy(CrossEntropyOptions o) : options(o) {}
  std::string_view name() const override { return "linear_cross_entropy"; }
};

/// What a cross-entropy says about each row.
struct RowLosses {
  Tensor loss;  // (N), 0 where the label is ignore_index; f32 for 16-bit inputs
  Tensor best;  // (N) i64: the first largest logit; a constant
};

/// loss_i = logsumexp(x_i) - sum_v q_iv x_iv, where q is 1 at the label, or smoothed:
/// (1 - s) at the label plus s / V everywhere.
///
/// logits (N, V) floating, labels (N) i64 in 0 … V-1 or ignore_index (IndexError otherwise)
RowLosses cross_entropy_rows(const Tensor& logits, const Tensor& labels,
                             const CrossEntropyOptions& options = {});
/// Its mean over the rows that are not ignored (NaN if there is none).
Tensor cross_entropy(const Tensor& logits, const Tensor& labels,
                     const CrossEntropyOptions& options = {});

/// The same of logits = x W^T + b, by blocks of rows: all logits never exist.
///
/// x (N, C), weight (V, C), bias (V) or undefined
RowLosses linear_cross_entropy_rows(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                    const Tensor& labels, const CrossEntropyOptions& options = {});
Tensor linear_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& bias,
                            const Tensor& labels, const CrossEntropyOptions& options = {});

namespace composed {
Tensor cross_entropy_rows(const Tensor& logits, const Tensor& labels,
                          const CrossEntropyOptions& options);
Tensor linear_cross_entropy_rows(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                 const Tensor& labels, const CrossEntropyOptions& options);
}  // namespace composed

namespace kernels {
/// Undefined if the backend declines.
Tensor cross_entropy_backward(const Tensor& g, const Tensor& logits, const Tensor& labels,
                              const Tensor& lse, const CrossEntropyOptions& options);
struct LinearCrossEntropyGrad {
  Tensor dx, dw, db;
  bool declined = false;
};
LinearCrossEntropyGrad linear_cross_entropy_backward(const Tensor& g, const Tensor& x,
                                                     const Tensor& weight, const Tensor& bias,
                                                     const Tensor& labels, const Tensor& lse,
                                                     const CrossEntropyOptions& options,
                                                     bool want_dx, const Sink& dw, const Sink& db);
}  // namespace kernels

}  // namespace tessera
