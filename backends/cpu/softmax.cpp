#include "backends/cpu/isa/softmax.h"

#include <algorithm>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_features.h"
#include "tensor/base/parallel.h"

namespace tessera {
namespace {

const SoftmaxKernels& softmax_kernels() { return TESSERA_OF_ACTIVE_ISA(softmax_kernels); }

/// Rows of one parallel chunk.
int64_t grain(const Rows& r) { return std::max<int64_t>(8192 / std::max<int64_t>(r.cols, 1), 1); }

template <class T>
void run_forward(const SoftmaxHalf<T>& kernels, const ConstView& x, const View& y) {
  const Rows rx = rows_of(x), ry = rows_of(y);
  parallel_ranges(rx.rows, grain(rx), [&](int64_t begin, int64_t end) {
    kernels.forward(x.as<T>() + begin * rx.row_stride, rx.row_stride,
                    y.as<T>() + begin * ry.row_stride, ry.row_stride, end - begin, rx.cols);
  });
}

template <class T>
void run_backward(const SoftmaxHalf<T>& kernels, const ConstView& g, const ConstView& y,
                  const View& dx) {
  const Rows rg = rows_of(g), ry = rows_of(y), rx = rows_of(dx);
  parallel_ranges(ry.rows, grain(ry), [&](int64_t begin, int64_t end) {
    kernels.backward(g.as<T>() + begin * rg.row_stride, rg.row_stride,
                     y.as<T>() + begin * ry.row_stride, ry.row_stride,
                     dx.as<T>() + begin * rx.row_stride, rx.row_stride, end - begin, ry.cols);
  });
}

}  // namespace

bool CpuBackend::try_softmax(ConstView x, View y) {
  if (x.dtype == DType::f64) {
    run_forward<double>(softmax_kernels().f64, x, y);
  } else if (x.dtype == DType::f32) {
    run_forward<float>(softmax_kernels().f32, x, y);
  } else {
    return false;
  }
  return true;
}

bool CpuBackend::try_softmax_backward(ConstView g, ConstView y, View dx) {
  if (y.dtype == DType::f64) {
    run_backward<double>(softmax_kernels().f64, g, y, dx);
  } else if (y.dtype == DType::f32) {
    run_backward<float>(softmax_kernels().f32, g, y, dx);
  } else {
    return false;
  }
  return true;
}

}  // namespace tessera
