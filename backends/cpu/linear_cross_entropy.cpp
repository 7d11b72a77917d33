#include <algorithm>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cross_entropy_internal.h"
#include "backends/cpu/scratch.h"

/// By blocks of rows whose logits stay near 4 MB: all logits never exist. Backward computes them
/// again, makes their gradient in place, and adds its products to dw in the order of blocks.
namespace tessera {
namespace {

ConstView matrix(const void* data, DType dtype, int64_t rows, int64_t cols, int64_t stride) {
  return {data, dtype, {rows, cols}, {stride, 1}};
}

ConstView transposed(const ConstView& m) {
  return {m.data, m.dtype, {m.shape[1], m.shape[0]}, {m.strides[1], m.strides[0]}};
}

/// x, its rows cut into blocks, and the logits of one block.
template <class T>
class Blocks {
 public:
  Blocks(CpuBackend& backend, const ConstView& x, const ConstView& w, const ConstView& bias)
      : backend_(backend),
        x_(x),
        w_(w),
        bias_(bias),
        rows_(rows_of(x)),
        classes_(w.shape[0]),
        block_(std::clamp<int64_t>((1 << 20) / std::max<int64_t>(classes_, 1), 64, 1024)),
        logits_(Scratch::of<T>(std::min(block_, rows_.rows) * classes_)) {}

  int64_t classes() const { return classes_; }
  int64_t cols() const { return rows_.cols; }
  T* logits() const { return logits_.template as<T>(); }

  ConstView x_rows(int64_t begin, int64_t n) const {
    return matrix(x_.as<T>() + begin * rows_.row_stride, x_.dtype, n, rows_.cols, rows_.row_stride);
  }
  View logits_view(int64_t n) const { return {logits(), x_.dtype, {n, classes_}, {classes_, 1}}; }

  /// Calls f(begin, n) for each block, its logits ready.
  template <class F>
  void each(F&& f) {
    for (int64_t begin = 0; begin < rows_.rows; begin += block_) {
      const int64_t n = std::min(block_, rows_.rows - begin);
      const Product product{.a = x_rows(begin, n),
                            .b = transposed(w_),
                            .c = logits_view(n),
                            .bias = bias_,
                            .accumulate = false};
      backend_.products(std::span(&product, 1));
      f(begin, n);
    }
  }

 private:
  CpuBackend& backend_;
  ConstView x_, w_, bias_;
  Rows rows_;
  int64_t classes_, block_;
  Scratch logits_;
};

template <class T>
void run_forward(CpuBackend& backend, const ConstView& x, const ConstView& w, const ConstView& bias,
                 const ConstView& labels, const CrossEntropyArgs& args, const View& loss,
                 const View& lse, const View& best) {
  Blocks<T> blocks(backend, x, w, bias);
  blocks.each([&](int64_t begin, int64_t n) {
    CrossEntropyRows<T> a = cross_entropy_rows<T>(blocks.logits_view(n), labels, args);
    a.labels += begin;
    a.loss = loss.as<T>() + begin;
    a.lse = lse.as<T>() + begin;
    a.best = best.as<int64_t>() + begin;
    for_cross_entropy_rows(a, cross_entropy_half<T>().forward);
  });
}

template <class T>
void run_backward(CpuBackend& backend, const ConstView& g, const ConstView& x, const ConstView& w,
                  const ConstView& bias, const ConstView& labels, const ConstView& lse,
                  const CrossEntropyArgs& args, const Backend::LinearCrossEntropyGrad& grad) {
  Blocks<T> blocks(backend, x, w, bias);
  if (rows_of(x).rows == 0) {
    if (grad.dw && !grad.accumulate_w) backend.fill(0, grad.dw);
    if (grad.dbias && !grad.accumulate_bias) backend.fill(0, grad.dbias);
  }
  blocks.each([&](int64_t begin, int64_t n) {
    CrossEntropyRows<T> a = cross_entropy_rows<T>(blocks.logits_view(n), labels, args);
    a.labels += begin;
    a.lse = const_cast<T*>(lse.as<T>()) + begin;  // only read
    a.g = g.as<T>() + begin;
    a.dlogits = blocks.logits();
    a.dlogits_stride = blocks.classes();
    for_cross_entropy_rows(a, cross_entropy_half<T>().backward);
    const ConstView dlogits = blocks.logits_view(n);
    Product products[2];
    size_t count = 0;
    if (grad.dx) {
      const Rows r = rows_of(grad.dx);
      products[count++] = {dlogits,
                           w,
                           View{grad.dx.as<T>() + begin * r.row_stride,
                                grad.dx.dtype,
                                {n, r.cols},
                                {r.row_stride, 1}},
                           {},
                           false};
    }
    if (grad.dw) {
      products[count++] = {transposed(dlogits),
                           blocks.x_rows(begin, n),
                           grad.dw,
                           {},
                           grad.accumulate_w || begin > 0};
    }
    backend.products(std::span(products, count));
    if (grad.dbias) {
      const View sums{
          grad.dbias.data, grad.dbias.dtype, {1, blocks.classes()}, {blocks.classes(), 1}};
      backend.reduce(ReduceOp::sum, dlogits, sums, grad.accumulate_bias || begin > 0);
    }
  });
}

}  // namespace

bool CpuBackend::try_linear_cross_entropy(ConstView x, ConstView w, ConstView bias,
                                          ConstView labels, const CrossEntropyArgs& args, View loss,
                                          View lse, View best) {
  if (!is_contiguous(labels) || w.shape[0] == 0) return false;
  if (x.dtype == DType::f64) {
    run_forward<double>(*this, x, w, bias, labels, args, loss, lse, best);
  } else if (x.dtype == DType::f32) {
    run_forward<float>(*this, x, w, bias, labels, args, loss, lse, best);
  } else {
    return false;
  }
  return true;
}

bool CpuBackend::try_linear_cross_entropy_backward(ConstView g, ConstView x, ConstView w,
                                                   ConstView bias, ConstView labels, ConstView lse,
                                                   const CrossEntropyArgs& args,
                                                   const LinearCrossEntropyGrad& grad) {
  if (!is_contiguous(labels) || !is_contiguous(g)) return false;
  if (x.dtype == DType::f64) {
    run_backward<double>(*this, g, x, w, bias, labels, lse, args, grad);
  } else if (x.dtype == DType::f32) {
    run_backward<float>(*this, g, x, w, bias, labels, lse, args, grad);
  } else {
    return false;
  }
  return true;
}

}  // namespace tessera
