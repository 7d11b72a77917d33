#include <algorithm>
#include <vector>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_features.h"
#include "backends/cpu/isa/elementwise.h"
#include "backends/cpu/norm_internal.h"
#include "backends/cpu/scratch.h"
#include "tensor/base/parallel.h"
#include "tensor/base/scalar_math.h"

namespace tessera {
namespace {

/// Rows [begin, end) of one group: a piece of work.
struct Chunk {
  size_t group;
  int64_t begin, end;
};

/// Cuts each group into at most 32 chunks of at least 8 rows: enough for many threads, few enough
/// that the partial sums are small beside the rows.
template <class F>
void for_chunks(std::span<const NormGroup> groups, F&& f) {
  int64_t begin = 0;
  for (size_t i = 0; i < groups.size(); ++i) {
    const int64_t end = groups[i].row_end;
    const int64_t rows = std::max<int64_t>((end - begin + 31) / 32, 8);
    for (int64_t r = begin; r < end; r += rows) f(Chunk{i, r, std::min(r + rows, end)});
    begin = std::max(begin, end);
  }
}

/// The chunks, in memory that a thread keeps from call to call.
class Chunks {
 public:
  explicit Chunks(std::span<const NormGroup> groups) {
    list_.swap(kept());
    list_.clear();
    for_chunks(groups, [&](const Chunk& c) { list_.push_back(c); });
  }
  ~Chunks() { list_.swap(kept()); }
  Chunks(const Chunks&) = delete;
  Chunks& operator=(const Chunks&) = delete;

  int64_t size() const { return static_cast<int64_t>(list_.size()); }
  const Chunk& operator[](int64_t i) const { return list_[static_cast<size_t>(i)]; }

 private:
  static std::vector<Chunk>& kept() {
    thread_local std::vector<Chunk> list;
    return list;
  }
  std::vector<Chunk> list_;
};

/// Rows of bf16, some of them at a time as f32 in the first-level cache, where the kernels of f32
/// find them.
class NarrowRows {
 public:
  explicit NarrowRows(int64_t cols)
      : cols_(cols),
        rows_(std::max<int64_t>(kElements / std::max<int64_t>(cols, 1), 1)),
        buffer_(Scratch::of<float>(2 * rows_ * cols)) {}

  int64_t rows_at_once() const { return rows_; }
  float* in() const { return buffer_.as<float>(); }
  float* out() const { return in() + rows_ * cols_; }

  void widen(const ConstView& x, int64_t row, int64_t count, float* to) const {
    const int64_t stride = rows_of(x).row_stride;
    for (int64_t r = 0; r < count; ++r) {
      kernels_.bf16_to_f32(x.as<uint16_t>() + (row + r) * stride, to + r * cols_, cols_);
    }
  }
  void narrow(const float* from, const View& y, int64_t row, int64_t count) const {
    const int64_t stride = rows_of(y).row_stride;
    for (int64_t r = 0; r < count; ++r) {
      kernels_.f32_to_bf16(from + r * cols_, y.as<uint16_t>() + (row + r) * stride, cols_);
    }
  }
  /// in = x + row_scale * delta, as it is rounded to `sum`.
  void add(const ConstView& delta, const ConstView& row_scale, int64_t row, int64_t count,
           const View& sum) const {
    widen(delta, row, count, out());
    for (int64_t r = 0; row_scale && r < count; ++r) {
      float* const line = out() + r * cols_;
      kernels_.binary(binary_op(Mul{}), line, 1, row_scale.as<float>() + row + r, 0, line, cols_);
    }
    kernels_.binary(binary_op(Add{}), in(), 1, out(), 1, in(), count * cols_);
    narrow(in(), sum, row, count);
    widen(sum, row, count, in());
  }

 private:
  static constexpr int64_t kElements = 2048;

  const ElementwiseKernels& kernels_ = elementwise_kernels();
  int64_t cols_, rows_;
  Scratch buffer_;
};

/// The rows of chunk `c` of a forward pass; `a` lacks x, delta, sum and y.
void narrow_forward(NormForward<float> a, const Chunk& c, const ConstView& x,
                    const ConstView& delta, const ConstView& row_scale, const View& sum,
                    const View& y, void (*kernel)(const NormForward<float>&)) {
  const NarrowRows rows(a.cols);
  a.x = rows.in();
  a.y = rows.out();
  a.x_stride = a.y_stride = a.cols;
  for (int64_t row = c.begin; row < c.end; row += a.rows) {
    a.rows = std::min(rows.rows_at_once(), c.end - row);
    rows.widen(x, row, a.rows, rows.in());
    if (delta) rows.add(delta, row_scale, row, a.rows, sum);
    kernel(a);
    rows.narrow(rows.out(), y, row, a.rows);
    a.mean += a.rows;
    a.rstd += a.rows;
  }
}

/// The rows of chunk `c` of a backward pass of bf16 x, but f32 gradients; `a` lacks x.
void narrow_backward(NormBackward<float> a, const Chunk& c, const ConstView& x,
                     void (*kernel)(const NormBackward<float>&)) {
  const NarrowRows rows(a.cols);
  a.x = rows.in();
  a.x_stride = a.cols;
  for (int64_t row = c.begin; row < c.end; row += a.rows) {
    a.rows = std::min(rows.rows_at_once(), c.end - row);
    rows.widen(x, row, a.rows, rows.in());
    kernel(a);
    a.g += a.rows * a.g_stride;
    a.dx += a.rows * a.dx_stride;
    if (a.residual != nullptr) a.residual += a.rows * a.residual_stride;
    a.mean += a.rows;
    a.rstd += a.rows;
  }
}

bool takes(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::bf16;
}

}  // namespace

const LayerNormKernels& layer_norm_kernels() { return TESSERA_OF_ACTIVE_ISA(layer_norm_kernels); }

template <>
const NormKernels<float>& norm_kernels() {
  return layer_norm_kernels().f32;
}
template <>
const NormKernels<double>& norm_kernels() {
  return layer_norm_kernels().f64;
}

template <class T>
void norm_forward(const ConstView& x, const ConstView& delta, const ConstView& row_scale,
                  std::span<const NormGroup> groups, double eps, const View& sum, const View& y,
                  const View& mean, const View& rstd, void (*kernel)(const NormForward<T>&)) {
  const Rows rx = rows_of(x), ry = rows_of(y);
  const Rows rd = delta ? rows_of(delta) : Rows{}, rs = sum ? rows_of(sum) : Rows{};
  const Chunks chunks(groups);
  parallel_for(chunks.size(), [&](int64_t i) {
    const Chunk& c = chunks[i];
    NormForward<T> a;
    a.cols = rx.cols;
    a.gamma = groups[c.group].gamma.as<T>();
    a.beta = groups[c.group].beta.as<T>();
    a.eps = static_cast<T>(eps);
    a.mean = mean.as<T>() + c.begin;
    a.rstd = rstd.as<T>() + c.begin;
    if constexpr (std::is_same_v<T, float>) {
      if (x.dtype == DType::bf16) {
        return narrow_forward(a, c, x, delta, row_scale, sum, y, kernel);
      }
    }
    a.rows = c.end - c.begin;
    a.x = x.as<T>() + c.begin * rx.row_stride;
    a.x_stride = rx.row_stride;
    if (delta) {
      a.delta = delta.as<T>() + c.begin * rd.row_stride;
      a.delta_stride = rd.row_stride;
      a.sum = sum.as<T>() + c.begin * rs.row_stride;
      a.sum_stride = rs.row_stride;
      a.row_scale = row_scale ? row_scale.as<T>() + c.begin : nullptr;
    }
    a.y = y.as<T>() + c.begin * ry.row_stride;
    a.y_stride = ry.row_stride;
    kernel(a);
  });
}

template <class T>
void norm_backward(const ConstView& g, const ConstView& x, std::span<const NormGroup> groups,
                   const ConstView& mean, const ConstView& rstd, const ConstView& residual,
                   const View& dx, std::span<const NormGroupGrad> grads, bool buffered,
                   void (*kernel)(const NormBackward<T>&)) {
  const Rows rg = rows_of(g), rx = rows_of(x), ro = rows_of(dx);
  const Rows rr = residual ? rows_of(residual) : Rows{};
  const int64_t cols = rx.cols, each = (buffered ? 4 : 2) * cols;
  const Chunks chunks(groups);
  const Scratch partial = Scratch::of<T>(chunks.size() * each);
  parallel_for(chunks.size(), [&](int64_t i) {
    const Chunk& c = chunks[i];
    NormBackward<T> a;
    a.rows = c.end - c.begin;
    a.cols = cols;
    a.g = g.as<T>() + c.begin * rg.row_stride;
    a.g_stride = rg.row_stride;
    a.gamma = groups[c.group].gamma.as<T>();
    a.mean = mean.as<T>() + c.begin;
    a.rstd = rstd.as<T>() + c.begin;
    if (residual) {
      a.residual = residual.as<T>() + c.begin * rr.row_stride;
      a.residual_stride = rr.row_stride;
    }
    a.dx = dx.as<T>() + c.begin * ro.row_stride;
    a.dx_stride = ro.row_stride;
    a.dgamma = partial.as<T>() + i * each;
    a.dbeta = a.dgamma + cols;
    a.buffer = buffered ? a.dbeta + cols : nullptr;
    std::fill_n(a.dgamma, 2 * cols, T(0));
    if constexpr (std::is_same_v<T, float>) {
      if (x.dtype == DType::bf16) return narrow_backward(a, c, x, kernel);
    }
    a.x = x.as<T>() + c.begin * rx.row_stride;
    a.x_stride = rx.row_stride;
    kernel(a);
  });
  // The partial sums of a group's chunks, in order; columns are independent of each other.
  for (size_t k = 0; k < groups.size(); ++k) {
    const NormGroupGrad& grad = grads[k];
    if (!grad.dgamma && !grad.dbeta) continue;
    parallel_ranges(cols, 512, [&](int64_t begin, int64_t end) {
      auto gather = [&](const View& into, bool accumulate, int64_t offset) {
        if (!into) return;
        T* to = into.as<T>();
        if (!accumulate) std::fill(to + begin, to + end, T(0));
        for (int64_t i = 0; i < chunks.size(); ++i) {
          if (chunks[i].group != k) continue;
          const T* from = partial.as<T>() + i * each + offset;
          for (int64_t j = begin; j < end; ++j) to[j] += from[j];
        }
      };
      gather(grad.dgamma, grad.accumulate_gamma, 0);
      gather(grad.dbeta, grad.accumulate_beta, cols);
    });
  }
}

template void norm_forward<float>(const ConstView&, const ConstView&, const ConstView&,
                                  std::span<const NormGroup>, double, const View&, const View&,
                                  const View&, const View&, void (*)(const NormForward<float>&));
template void norm_forward<double>(const ConstView&, const ConstView&, const ConstView&,
                                   std::span<const NormGroup>, double, const View&, const View&,
                                   const View&, const View&, void (*)(const NormForward<double>&));
template void norm_backward<float>(const ConstView&, const ConstView&, std::span<const NormGroup>,
                                   const ConstView&, const ConstView&, const ConstView&,
                                   const View&, std::span<const NormGroupGrad>, bool,
                                   void (*)(const NormBackward<float>&));
template void norm_backward<double>(const ConstView&, const ConstView&, std::span<const NormGroup>,
                                    const ConstView&, const ConstView&, const ConstView&,
                                    const View&, std::span<const NormGroupGrad>, bool,
                                    void (*)(const NormBackward<double>&));

bool CpuBackend::try_layer_norm(ConstView x, std::span<const NormGroup> groups, double eps, View y,
                                View mean, View rstd) {
  return try_add_layer_norm(x, {}, {}, groups, eps, {}, y, mean, rstd);
}

bool CpuBackend::try_add_layer_norm(ConstView x, ConstView delta, ConstView row_scale,
                                    std::span<const NormGroup> groups, double eps, View sum, View y,
                                    View mean, View rstd) {
  if (!takes(x.dtype)) return false;
  if (x.dtype == DType::f64) {
    norm_forward<double>(x, delta, row_scale, groups, eps, sum, y, mean, rstd,
                         norm_kernels<double>().forward);
  } else {
    norm_forward<float>(x, delta, row_scale, groups, eps, sum, y, mean, rstd,
                        norm_kernels<float>().forward);
  }
  return true;
}

bool CpuBackend::try_layer_norm_backward(ConstView g, ConstView x,
                                         std::span<const NormGroup> groups, ConstView mean,
                                         ConstView rstd, ConstView residual, View dx,
                                         std::span<const NormGroupGrad> grads) {
  if (!takes(x.dtype)) return false;
  if (x.dtype == DType::f64) {
    norm_backward<double>(g, x, groups, mean, rstd, residual, dx, grads, false,
                          norm_kernels<double>().backward);
  } else {
    norm_backward<float>(g, x, groups, mean, rstd, residual, dx, grads, false,
                         norm_kernels<float>().backward);
  }
  return true;
}

}  // namespace tessera
