#include <cstring>

#include "backends/cpu/convert_internal.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/isa/elementwise.h"
#include "backends/cpu/loops_internal.h"

namespace tessera {
namespace {

template <class From, class To>
void copy_row(const From* x, int64_t sx, To* y, int64_t sy, int64_t n) {
  if constexpr (std::is_same_v<From, To>) {
    if (sx == 1 && sy == 1) {
      std::memcpy(y, x, static_cast<size_t>(n) * sizeof(To));
      return;
    }
  }
  if (sx == 1 && sy == 1) {
    if constexpr (std::is_same_v<From, bf16> && std::is_same_v<To, float>) {
      elementwise_kernels().bf16_to_f32(reinterpret_cast<const uint16_t*>(x), y, n);
      return;
    } else if constexpr (std::is_same_v<From, float> && std::is_same_v<To, bf16>) {
      elementwise_kernels().f32_to_bf16(x, reinterpret_cast<uint16_t*>(y), n);
      return;
    }
    for (int64_t i = 0; i < n; ++i) y[i] = convert<To>(x[i]);
  } else if (sx == 0) {
    const To value = convert<To>(x[0]);
    for (int64_t i = 0; i < n; ++i) y[i * sy] = value;
  } else {
    for (int64_t i = 0; i < n; ++i) y[i * sy] = convert<To>(x[i * sx]);
  }
}

/// Rows of f32 through a transpose: y is contiguous along its inner axis, x along the next one. In
/// blocks of 8 x 8, or each element would touch a cache line of its own.
bool transpose_f32(const Loop<2>& loop, const ConstView& x, const View& y) {
  if (x.dtype != DType::f32 || y.dtype != DType::f32 || loop.rank < 2) return false;
  const size_t inner = static_cast<size_t>(loop.rank - 1);
  size_t along = inner;  // the axis that x is contiguous along
  for (size_t i = 0; i < inner; ++i) {
    if (loop.stride[i][1] == 1) along = i;
  }
  if (along == inner || loop.stride[inner][0] != 1 || loop.stride[inner][1] < 2) return false;
  const int64_t n = loop.size[inner], m = loop.size[along];
  if (n < 8 || m < 8) return false;
  const int64_t step_x = loop.stride[inner][1], step_y = loop.stride[along][0];
  int64_t planes = 1;
  for (size_t i = 0; i < inner; ++i) {
    if (i != along) planes *= loop.size[i];
  }
  const int64_t strips = (m + 7) / 8;
  const ElementwiseKernels& kernels = elementwise_kernels();
  parallel_ranges(planes * strips, std::max<int64_t>(kGrain / (8 * n), 1),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t item = begin; item < end; ++item) {
                      int64_t rest = item / strips, ox = 0, oy = 0;
                      for (size_t i = inner; i-- > 0;) {
                        if (i == along) continue;
                        ox += rest % loop.size[i] * loop.stride[i][1];
                        oy += rest % loop.size[i] * loop.stride[i][0];
                        rest /= loop.size[i];
                      }
                      const int64_t j0 = item % strips * 8, width = std::min<int64_t>(8, m - j0);
                      const float* px = at<float>(x, ox + j0);
                      float* py = at<float>(y, oy + j0 * step_y);
                      int64_t i = 0;
                      for (; width == 8 && i + 8 <= n; i += 8) {
                        kernels.transpose8(px + i * step_x, step_x, py + i, step_y);
                      }
                      for (; i < n; ++i) {
                        for (int64_t j = 0; j < width; ++j) py[j * step_y + i] = px[i * step_x + j];
                      }
                    }
                  });
  return true;
}

}  // namespace

void CpuBackend::copy(ConstView x, View y) {
  if (y.numel() == 0) return;
  const Loop<2> loop = make_loop<2>(y.shape, {&y.strides, &x.strides});
  if (transpose_f32(loop, x, y)) return;
  const auto stride = loop.inner_stride();
  visit_dtype(x.dtype, [&]<class From>(TypeTag<From>) {
    visit_dtype(y.dtype, [&]<class To>(TypeTag<To>) {
      for_rows(loop, kGrain, [&](const auto& o, int64_t n) {
        copy_row(at<From>(x, o[1]), stride[1], at<To>(y, o[0]), stride[0], n);
      });
    });
  });
}

}  // namespace tessera
