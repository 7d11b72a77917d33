#pragma once

#include "tensor/record.h"

namespace tessera {

struct Softmax final : Op {
  std::string_view name() const override { return "softmax"; }
};

/// y = exp(x - max(x)) / sum(exp(x - max(x))) over `axis`.
///
/// x  (...) floating; a row of -inf alone gives NaN
Tensor softmax(const Tensor& x, int64_t axis = -1);
/// x - logsumexp(x). A composition.
Tensor log_softmax(const Tensor& x, int64_t axis = -1);

namespace composed {
/// Over the last axis.
Tensor softmax(const Tensor& x);
}  // namespace composed
namespace kernels {
/// dx = y (g - sum(g y)) over the last axis; undefined if the backend declines.
Tensor softmax_backward(const Tensor& g, const Tensor& y);
}  // namespace kernels

}  // namespace tessera
