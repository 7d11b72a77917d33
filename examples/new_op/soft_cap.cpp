#include "soft_cap.h"

#include <cmath>

#include "autograd/custom_op.h"
#include "tensor/base/parallel.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"

namespace new_op {

using namespace tessera;

namespace {

/// The kernel: plain arrays, split among the library's threads. Each element is written once and
/// depends on its own input alone, so the bits do not depend on the split.
template <class T>
void soft_cap_kernel(const T* x, T* y, int64_t count, T cap) {
  parallel_ranges(count, 16384, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = cap * std::tanh(x[i] / cap);
  });
}

/// Checks, allocation, and the kernel for the dtype. Nothing in here is recorded.
Tensors forward(const Tensors& inputs, double cap) {
  const Tensor x = inputs[0].contiguous();
  const Tensor y = empty(x.shape(), x.options());
  if (x.dtype() == DType::f32) {
    soft_cap_kernel(x.data<float>(), y.data<float>(), x.numel(), static_cast<float>(cap));
  } else {
    soft_cap_kernel(x.data<double>(), y.data<double>(), x.numel(), cap);
  }
  return {y};
}

/// The rule: dy/dx = 1 - (y / cap)^2, in ordinary ops, so that it can be differentiated in turn.
Tensors rule(const Tensors& outputs, const Tensors& gradients, double cap) {
  return {gradients[0] * (1.0 - square(outputs[0] / cap))};
}

}  // namespace

Tensor soft_cap(const Tensor& x, double cap) {
  check<ValueError>(cap > 0, "soft_cap: cap is {}, but must be positive", cap);
  check<DTypeError>(x.dtype() == DType::f32 || x.dtype() == DType::f64,
                    "soft_cap: x is {}, but must be f32 or f64", x.dtype());
  check<DeviceError>(x.device() == kCpu, "soft_cap: x is on {}, but its kernel is for the CPU",
                     x.device());
  const CustomOp op{
      .name = "soft_cap",
      .forward = [cap](const Tensors& inputs) { return forward(inputs, cap); },
      .rule = [cap](const Tensors&, const Tensors& outputs,
                    const Tensors& gradients) { return rule(outputs, gradients, cap); }};
  return apply(op, {x})[0];
}

}  // namespace new_op
