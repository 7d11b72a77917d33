#include "backends/cpu/isa/reduce.h"

#include <algorithm>
#include <limits>

#include "backends/cpu/convert_internal.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_features.h"
#include "backends/cpu/loops_internal.h"
#include "backends/cpu/scratch.h"

/// Reductions in a fixed order: short runs in the compute type on fixed lanes, runs and chunks
/// added in f64. Chunks depend on shapes only, so threads do not change the bits; a sum over memory
/// that would be walked in another order is made of a row-major copy, so layouts do not either.
namespace tessera {
namespace {

constexpr int64_t kRun = 256;  // elements summed in f32 before they join the f64 total

const ReduceKernels& reduce_kernels() { return TESSERA_OF_ACTIVE_ISA(reduce_kernels); }

template <class T>
struct SumOf {
  using Total = std::conditional_t<std::is_integral_v<T>, int64_t, double>;
  static Total start() { return 0; }
  static Total join(Total a, Total b) { return a + b; }

  static Total row(const T* x, int64_t stride, int64_t n) {
    using C = Compute<T>;
    Total total = 0;
    for (int64_t begin = 0; begin < n; begin += kRun) {
      const int64_t end = std::min(begin + kRun, n);
      C lane[16] = {};
      int64_t i = begin;
      for (; i + 16 <= end; i += 16) {
        for (int64_t k = 0; k < 16; ++k) lane[k] += widen(x[(i + k) * stride]);
      }
      for (int64_t k = 0; i < end; ++i, ++k) lane[k] += widen(x[i * stride]);
      for (int64_t width = 8; width > 0; width /= 2) {
        for (int64_t k = 0; k < width; ++k) lane[k] += lane[k + width];
      }
      total += static_cast<Total>(lane[0]);
    }
    return total;
  }
};

template <class T>
bool is_nan(T x) {
  if constexpr (std::is_floating_point_v<T>) return x != x;
  return false;
}

/// The larger (or smaller) of two; a NaN wins.
template <class T, bool largest>
struct ExtremeOf {
  using Total = Compute<T>;
  static Total start() {
    if constexpr (std::is_integral_v<Total>) {
      return largest ? std::numeric_limits<Total>::lowest() : std::numeric_limits<Total>::max();
    } else {
      return largest ? -std::numeric_limits<Total>::infinity()
                     : std::numeric_limits<Total>::infinity();
    }
  }
  static Total join(Total a, Total b) {
    const bool better = largest ? b > a : b < a;
    return better || is_nan(b) ? (is_nan(a) ? a : b) : a;
  }
  static Total row(const T* x, int64_t stride, int64_t n) {
    if constexpr (std::is_same_v<T, float>) {
      const ReduceKernels& k = reduce_kernels();
      if (stride == 1) return largest ? k.max_row(x, n) : k.min_row(x, n);
    }
    Total total = start();
    for (int64_t i = 0; i < n; ++i) total = join(total, widen(x[i * stride]));
    return total;
  }
};

/// The axes of a reduction, split into those that stay and those that go.
struct Plan {
  Loop<2> kept;     // y, x
  Loop<1> reduced;  // x
};

Plan plan_of(const ConstView& x, const View& y) {
  Plan plan;
  for (int i = 0; i < x.rank(); ++i) {
    if (y.shape[i] == 1 && x.shape[i] != 1) {
      plan.reduced.add_axis(x.shape[i], {x.strides[i]});
    } else {
      plan.kept.add_axis(x.shape[i], {y.strides[i], x.strides[i]});
    }
  }
  plan.reduced.sort_by_output();
  plan.reduced.merge();
  plan.kept.sort_by_output();
  plan.kept.merge();
  return plan;
}

template <class T, class Total>
void store(T& to, Total total, bool accumulate) {
  if constexpr (std::is_same_v<T, bool>) {
    to = total != Total(0);
  } else {
    to = accumulate ? convert<T>(static_cast<Total>(widen(to)) + total) : convert<T>(total);
  }
}

/// Each result from rows of x that lie together.
template <class T, class R>
void reduce_rows(const Plan& plan, const ConstView& x, const View& y, bool accumulate) {
  using Total = typename R::Total;
  const int64_t outputs = plan.kept.numel, length = plan.reduced.numel;
  const int64_t pieces = outputs >= 16 ? 1 : (length + kGrain - 1) / kGrain;
  const Scratch partial = Scratch::of<Total>(outputs * pieces);
  const int64_t step = plan.reduced.inner_stride()[0];
  const int64_t grain = pieces > 1 ? 1 : std::max<int64_t>(kGrain / length, 1);
  parallel_ranges(outputs * pieces, grain, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t output = item / pieces, piece = item % pieces;
      for_rows_in(plan.kept, output, output + 1, [&](const auto& o, int64_t) {
        Total total = R::start();
        for_rows_in(plan.reduced, piece * kGrain,
                    pieces > 1 ? std::min(length, (piece + 1) * kGrain) : length,
                    [&](const auto& r, int64_t n) {
                      const T* row = at<T>(x, o[1] + r[0]);
                      with_unit_stride(step,
                                       [&](auto s) { total = R::join(total, R::row(row, s, n)); });
                    });
        partial.as<Total>()[item] = total;
        if (pieces == 1) store(*at<T>(y, o[0]), total, accumulate);
      });
    }
  });
  if (pieces == 1) return;
  for (int64_t output = 0; output < outputs; ++output) {
    Total total = R::start();
    for (int64_t p = 0; p < pieces; ++p) {
      total = R::join(total, partial.as<Total>()[output * pieces + p]);
    }
    for_rows_in(plan.kept, output, output + 1,
                [&](const auto& o, int64_t) { store(*at<T>(y, o[0]), total, accumulate); });
  }
}

/// total[j] = join(total[j], x[j]) over some rows of contiguous columns.
template <class T, class R>
void fold_columns(const Loop<1>& rows, int64_t begin, int64_t end, const T* x,
                  typename R::Total* total, int64_t cols) {
  using Total = typename R::Total;
  if constexpr (std::is_same_v<R, SumOf<T>> && !std::is_integral_v<T>) {
    // Runs of 32 rows in the compute type, as in `row`.
    constexpr int64_t kRows = 32, kCols = 64;
    using C = Compute<T>;
    for (int64_t j0 = 0; j0 < cols; j0 += kCols) {
      const int64_t width = std::min(kCols, cols - j0);
      for (int64_t r0 = begin; r0 < end; r0 += kRows) {
        C run[kCols] = {};
        for_rows_in(rows, r0, std::min(end, r0 + kRows), [&](const auto& o, int64_t n) {
          const int64_t step = rows.inner_stride()[0];
          for (int64_t i = 0; i < n; ++i) {
            const T* row = x + o[0] + i * step + j0;
            if (width == kCols) {
              for (int64_t j = 0; j < kCols; ++j) run[j] += widen(row[j]);
            } else {
              for (int64_t j = 0; j < width; ++j) run[j] += widen(row[j]);
            }
          }
        });
        for (int64_t j = 0; j < width; ++j) total[j0 + j] += static_cast<Total>(run[j]);
      }
    }
  } else {
    for_rows_in(rows, begin, end, [&](const auto& o, int64_t n) {
      const int64_t step = rows.inner_stride()[0];
      for (int64_t i = 0; i < n; ++i) {
        const T* row = x + o[0] + i * step;
        if constexpr (std::is_same_v<T, float>) {
          const ReduceKernels& k = reduce_kernels();
          (std::is_same_v<R, ExtremeOf<T, true>> ? k.max_into : k.min_into)(row, total, cols);
        } else {
          for (int64_t j = 0; j < cols; ++j) {
            total[j] = R::join(total[j], static_cast<Total>(widen(row[j])));
          }
        }
      }
    });
  }
}

/// Results lie side by side in x: whole rows are folded into a row of totals.
template <class T, class R>
void reduce_columns(const Plan& plan, size_t column_axis, const ConstView& x, const View& y,
                    bool accumulate) {
  using Total = typename R::Total;
  const int64_t cols = plan.kept.size[column_axis];
  const int64_t y_step = plan.kept.stride[column_axis][0];
  Loop<2> planes;
  for (size_t i = 0; i < static_cast<size_t>(plan.kept.rank); ++i) {
    if (i != column_axis) planes.add_axis(plan.kept.size[i], plan.kept.stride[i]);
  }
  const int64_t rows = plan.reduced.numel;
  const int64_t piece_rows = std::max<int64_t>(2 * kGrain / cols, 64);
  const int64_t pieces = planes.numel >= 16 ? 1 : (rows + piece_rows - 1) / piece_rows;
  const Scratch partial = Scratch::of<Total>(planes.numel * pieces * cols);
  parallel_for(planes.numel * pieces, [&](int64_t item) {
    const int64_t plane = item / pieces, piece = item % pieces;
    Total* total = partial.as<Total>() + item * cols;
    std::fill_n(total, cols, R::start());
    for_rows_in(planes, plane, plane + 1, [&](const auto& o, int64_t) {
      fold_columns<T, R>(plan.reduced, piece * piece_rows,
                         pieces > 1 ? std::min(rows, (piece + 1) * piece_rows) : rows,
                         at<T>(x, o[1]), total, cols);
      if (pieces > 1) return;
      for (int64_t j = 0; j < cols; ++j) store(*at<T>(y, o[0] + j * y_step), total[j], accumulate);
    });
  });
  if (pieces == 1) return;
  for (int64_t plane = 0; plane < planes.numel; ++plane) {
    Total* total = partial.as<Total>() + plane * pieces * cols;
    for (int64_t p = 1; p < pieces; ++p) {
      for (int64_t j = 0; j < cols; ++j) total[j] = R::join(total[j], total[p * cols + j]);
    }
    for_rows_in(planes, plane, plane + 1, [&](const auto& o, int64_t) {
      for (int64_t j = 0; j < cols; ++j) store(*at<T>(y, o[0] + j * y_step), total[j], accumulate);
    });
  }
}

/// The kept axis along which results lie side by side in x, so that whole rows are folded; -1:
/// none.
int column_axis(const Plan& plan) {
  if (plan.reduced.numel <= 1) return -1;
  for (int i = 0; i < plan.kept.rank; ++i) {
    const auto at = static_cast<size_t>(i);
    if (plan.kept.stride[at][1] == 1 && plan.kept.size[at] > 1) return i;
  }
  return -1;
}

/// Would a sum over x add in the order that it has over contiguous memory? Rows are cut where their
/// inner axis ends, columns by how many lie side by side.
bool sums_as_if_contiguous(const ConstView& x, const View& y) {
  if (is_contiguous(x.shape, x.strides)) return true;
  int64_t before = std::numeric_limits<int64_t>::max();
  for (int i = 0; i < x.rank(); ++i) {
    if (y.shape[i] != 1 || x.shape[i] == 1) continue;
    if (x.strides[i] > before) return false;
    before = x.strides[i];
  }
  ConstView dense = x;
  dense.strides = contiguous_strides(x.shape);
  const Plan ours = plan_of(x, y), plain = plan_of(dense, y);
  const int a = column_axis(ours), b = column_axis(plain);
  if (a >= 0 && b >= 0) {
    return ours.kept.size[static_cast<size_t>(a)] == plain.kept.size[static_cast<size_t>(b)];
  }
  const auto &mine = ours.reduced, &theirs = plain.reduced;
  return a == b && std::equal(mine.size.begin(), mine.size.begin() + mine.rank, theirs.size.begin(),
                              theirs.size.begin() + theirs.rank);
}

template <class T, class R>
void run_reduction(const ConstView& x, const View& y, bool accumulate) {
  if (y.numel() == 0) return;
  if (x.numel() == 0) {
    if (accumulate) return;
    const Loop<1> all = make_loop<1>(y.shape, {&y.strides});
    for_rows_in(all, 0, all.numel, [&](const auto& o, int64_t n) {
      for (int64_t i = 0; i < n; ++i) {
        store(*at<T>(y, o[0] + i * all.inner_stride()[0]), R::start(), false);
      }
    });
    return;
  }
  const Plan plan = plan_of(x, y);
  if (const int axis = column_axis(plan); axis >= 0) {
    return reduce_columns<T, R>(plan, static_cast<size_t>(axis), x, y, accumulate);
  }
  reduce_rows<T, R>(plan, x, y, accumulate);
}

/// Index of the first largest of a line; a NaN counts as largest.
template <class T>
int64_t first_largest(const T* line, int64_t step, int64_t count) {
  if constexpr (std::is_same_v<T, float>) {
    if (step == 1) {
      const ReduceKernels& k = reduce_kernels();
      return k.find(line, count, k.max_row(line, count));
    }
  }
  int64_t best = 0;
  auto most = widen(line[0]);
  for (int64_t i = 1; i < count && !is_nan(most); ++i) {
    const auto v = widen(line[i * step]);
    if (v > most || is_nan(v)) {
      most = v;
      best = i;
    }
  }
  return best;
}

}  // namespace

void CpuBackend::reduce(ReduceOp f, ConstView x, View y, bool accumulate) {
  if (f == ReduceOp::sum && is_floating(x.dtype) && !sums_as_if_contiguous(x, y)) {
    const Scratch dense(static_cast<size_t>(x.numel()) * size_of(x.dtype));
    const View row_major{dense.data(), x.dtype, x.shape, contiguous_strides(x.shape)};
    copy(x, row_major);
    return reduce(f, row_major, y, accumulate);
  }
  visit_dtype(x.dtype, [&]<class T>(TypeTag<T>) {
    switch (f) {
      case ReduceOp::sum:
        return run_reduction<T, SumOf<T>>(x, y, accumulate);
      case ReduceOp::max:
        return run_reduction<T, ExtremeOf<T, true>>(x, y, false);
      case ReduceOp::min:
        return run_reduction<T, ExtremeOf<T, false>>(x, y, false);
    }
  });
}

void CpuBackend::argmax(ConstView x, int axis, View y) {
  if (y.numel() == 0) return;
  Strides x_strides = x.strides;
  x_strides[axis] = 0;
  const Loop<2> loop = make_loop<2>(y.shape, {&y.strides, &x_strides});
  const auto stride = loop.inner_stride();
  const int64_t count = x.shape[axis], step = x.strides[axis];
  visit_dtype(x.dtype, [&]<class T>(TypeTag<T>) {
    for_rows(loop, std::max<int64_t>(kGrain / count, 1), [&](const auto& o, int64_t n) {
      for (int64_t k = 0; k < n; ++k) {
        *at<int64_t>(y, o[0] + k * stride[0]) =
            first_largest(at<T>(x, o[1] + k * stride[1]), step, count);
      }
    });
  });
}

}  // namespace tessera
