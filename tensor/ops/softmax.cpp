#include "tensor/ops/softmax.h"

#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/op_internal.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera {

Tensor softmax(const Tensor& x, int64_t axis) {
  detail::check_floating("softmax", "x", x);
  const int at = normalize_axis("softmax", axis, x.rank());
  if (at != x.rank() - 1) return transpose(softmax(transpose(x, at, -1)), at, -1);
  const Tensor rows = detail::as_row_view(x), in = detail::computed(rows);
  const Tensor out = empty(x.shape(), in.options());
  if (out.numel() == 0 || !detail::backend_of(x).try_softmax(in.view(), out.mutable_view())) {
    return composed::softmax(x.to(in.dtype())).to(x.dtype());
  }
  const Tensor y = out.to(x.dtype());
  record(Softmax{}, {rows}, {y});
  return y;
}

Tensor log_softmax(const Tensor& x, int64_t axis) {
  detail::check_floating("log_softmax", "x", x);
  const int at = normalize_axis("log_softmax", axis, x.rank());
  if (is_16_bit(x.dtype())) return log_softmax(x.to(DType::f32), at).to(x.dtype());
  return x - logsumexp(x, {at}, KeepDims::yes);
}

Tensor composed::softmax(const Tensor& x) {
  const Tensor e = exp(x - max(x.detach(), {-1}, KeepDims::yes));
  return e / sum(e, {-1}, KeepDims::yes);
}

Tensor kernels::softmax_backward(const Tensor& g, const Tensor& y) {
  const Tensor g_rows = detail::as_row_view(g.detach()), y_rows = detail::as_row_view(y.detach());
  const Tensor dx = empty(y.shape(), y.options());
  if (!detail::backend_of(y).try_softmax_backward(g_rows.view(), y_rows.view(),
                                                  dx.mutable_view())) {
    return {};
  }
  return dx;
}

}  // namespace tessera
