#include <algorithm>
#include <vector>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_features.h"
#include "backends/cpu/norm_internal.h"
#include "backends/cpu/scratch.h"
#include "tensor/base/parallel.h"

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

bool is_real(DType dtype) { return dtype == DType::f32 || dtype == DType::f64; }

}  // namespace

const LayerNormKernels& layer_norm_kernels() {
  if constexpr (kX86Kernels) {
    switch (active_isa()) {
      case Isa::avx512:
        return avx512::layer_norm_kernels;
      case Isa::avx2:
        return avx2::layer_norm_kernels;
      case Isa::portable:
        break;
    }
  }
  return portable::layer_norm_kernels;
}

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
    a.rows = c.end - c.begin;
    a.cols = rx.cols;
    a.x = x.as<T>() + c.begin * rx.row_stride;
    a.x_stride = rx.row_stride;
    if (delta) {
      a.delta = delta.as<T>() + c.begin * rd.row_stride;
      a.delta_stride = rd.row_stride;
      a.sum = sum.as<T>() + c.begin * rs.row_stride;
      a.sum_stride = rs.row_stride;
      a.row_scale = row_scale ? row_scale.as<T>() + c.begin : nullptr;
    }
    a.gamma = groups[c.group].gamma.as<T>();
    a.beta = groups[c.group].beta.as<T>();
    a.eps = static_cast<T>(eps);
    a.y = y.as<T>() + c.begin * ry.row_stride;
    a.y_stride = ry.row_stride;
    a.mean = mean.as<T>() + c.begin;
    a.rstd = rstd.as<T>() + c.begin;
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
    a.x = x.as<T>() + c.begin * rx.row_stride;
    a.x_stride = rx.row_stride;
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
  if (!is_real(x.dtype)) return false;
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
  if (!is_real(x.dtype)) return false;
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
