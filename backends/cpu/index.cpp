#include <cstring>

#include "backends/cpu/convert_internal.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/loops_internal.h"

namespace tessera {
namespace {

/// v without `axis`.
ConstView without_axis(ConstView v, int axis) {
  v.shape.erase(axis);
  v.strides.erase(axis);
  return v;
}

/// y[o] += x[o] over rows.
template <class T>
void add_row(const T* x, int64_t sx, T* y, int64_t sy, int64_t n) {
  if (sx == 1 && sy == 1) {
    for (int64_t i = 0; i < n; ++i) y[i] = convert<T>(widen(y[i]) + widen(x[i]));
  } else {
    for (int64_t i = 0; i < n; ++i) y[i * sy] = convert<T>(widen(y[i * sy]) + widen(x[i * sx]));
  }
}

template <class F>
void visit_numbers(DType dtype, F&& f) {
  visit_dtype(dtype, [&]<class T>(TypeTag<T> tag) {
    if constexpr (!std::is_same_v<T, bool>) f(tag);
  });
}

int64_t index_at(const ConstView& index, int64_t i) {
  return index.as<int64_t>()[i * (index.strides.empty() ? 1 : index.strides[0])];
}

/// Offset of the index tensor beside a loop over three operands: gather and scatter.
Strides strides_without_step(const Strides& strides, int axis) {
  Strides s = strides;
  s[axis] = 0;
  return s;
}

}  // namespace

void CpuBackend::index_select(ConstView x, ConstView index, int axis, View y) {
  if (y.numel() == 0) return;
  const ConstView x_slice = without_axis(x, axis), y_slice = without_axis(y, axis);
  const Loop<2> loop = make_loop<2>(y_slice.shape, {&y_slice.strides, &x_slice.strides});
  const auto stride = loop.inner_stride();
  const int64_t count = y.shape[axis];
  const size_t size = size_of(x.dtype);
  parallel_ranges(
      count, std::max<int64_t>(kGrain / loop.numel, 1), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const char* from = static_cast<const char*>(x.data) +
                             static_cast<size_t>(index_at(index, i) * x.strides[axis]) * size;
          char* to = static_cast<char*>(y.data) + static_cast<size_t>(i * y.strides[axis]) * size;
          for_rows_in(loop, 0, loop.numel, [&](const auto& o, int64_t n) {
            const char* px = from + o[1] * static_cast<int64_t>(size);
            char* py = to + o[0] * static_cast<int64_t>(size);
            if (stride[0] == 1 && stride[1] == 1) {
              std::memcpy(py, px, static_cast<size_t>(n) * size);
              return;
            }
            for (int64_t k = 0; k < n; ++k) {
              std::memcpy(py + k * stride[0] * static_cast<int64_t>(size),
                          px + k * stride[1] * static_cast<int64_t>(size), size);
            }
          });
        }
      });
}

void CpuBackend::index_add(ConstView x, ConstView index, int axis, View y) {
  if (x.numel() == 0) return;
  const ConstView x_slice = without_axis(x, axis), y_slice = without_axis(y, axis);
  const Loop<2> loop = make_loop<2>(x_slice.shape, {&y_slice.strides, &x_slice.strides});
  const auto stride = loop.inner_stride();
  const int64_t count = x.shape[axis];
  // Indices may repeat. Each chunk owns some of y's slices (every sixteenth: frequent ones are
  // often neighbours), or a part of every slice if there are few; it goes through all of x in
  // order.
  const bool by_slice = y.shape[axis] >= 64 && loop.numel >= 16;
  const int64_t owners = by_slice ? std::clamp<int64_t>(x.numel() / kGrain, 1, 16) : 1;
  const int64_t grain =
      by_slice ? loop.numel : std::max<int64_t>(kGrain / std::max<int64_t>(count, 1), 64);
  const int64_t parts = (loop.numel + grain - 1) / grain;
  visit_numbers(x.dtype, [&]<class T>(TypeTag<T>) {
    parallel_for(owners * parts, [&](int64_t chunk) {
      const int64_t owner = chunk % owners, begin = chunk / owners * grain;
      const int64_t end = std::min(begin + grain, loop.numel);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t slice = index_at(index, i);
        if (slice % owners != owner) continue;
        const T* from = x.as<T>() + i * x.strides[axis];
        T* to = y.as<T>() + slice * y.strides[axis];
        for_rows_in(loop, begin, end, [&](const auto& o, int64_t n) {
          add_row(from + o[1], stride[1], to + o[0], stride[0], n);
        });
      }
    });
  });
}

void CpuBackend::gather(ConstView x, ConstView index, int axis, View y) {
  if (y.numel() == 0) return;
  const Strides x_strides = strides_without_step(x.strides, axis);
  const Loop<3> loop = make_loop<3>(y.shape, {&y.strides, &x_strides, &index.strides});
  const auto s = loop.inner_stride();
  const int64_t step = x.strides[axis];
  visit_dtype(x.dtype, [&]<class T>(TypeTag<T>) {
    for_rows(loop, kGrain, [&](const auto& o, int64_t n) {
      const T* px = at<T>(x, o[1]);
      const int64_t* pi = at<int64_t>(index, o[2]);
      T* py = at<T>(y, o[0]);
      for (int64_t k = 0; k < n; ++k) py[k * s[0]] = px[k * s[1] + pi[k * s[2]] * step];
    });
  });
}

void CpuBackend::scatter_add(ConstView x, ConstView index, int axis, View y) {
  if (x.numel() == 0) return;
  // Lines along `axis` are independent of each other; within one, i ascends.
  const ConstView x_rest = without_axis(x, axis), i_rest = without_axis(index, axis);
  const ConstView y_rest = without_axis(y, axis);
  const Loop<3> loop =
      make_loop<3>(x_rest.shape, {&y_rest.strides, &x_rest.strides, &i_rest.strides});
  const auto s = loop.inner_stride();
  const int64_t count = x.shape[axis];
  const int64_t sx = x.strides[axis], si = index.strides[axis], sy = y.strides[axis];
  visit_numbers(x.dtype, [&]<class T>(TypeTag<T>) {
    for_rows(loop, std::max<int64_t>(kGrain / count, 1), [&](const auto& o, int64_t n) {
      for (int64_t k = 0; k < n; ++k) {
        const T* px = at<T>(x, o[1] + k * s[1]);
        const int64_t* pi = at<int64_t>(index, o[2] + k * s[2]);
        T* py = at<T>(y, o[0] + k * s[0]);
        for (int64_t i = 0; i < count; ++i) {
          T& to = py[pi[i * si] * sy];
          to = convert<T>(widen(to) + widen(px[i * sx]));
        }
      }
    });
  });
}

}  // namespace tessera
