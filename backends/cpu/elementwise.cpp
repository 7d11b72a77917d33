#include "backends/cpu/isa/elementwise.h"

#include <limits>

#include "backends/cpu/convert_internal.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_features.h"
#include "backends/cpu/loops_internal.h"
#include "backends/cpu/rows_internal.h"

namespace tessera {

const ElementwiseKernels& elementwise_kernels() {
  return TESSERA_OF_ACTIVE_ISA(elementwise_kernels);
}

namespace {

/// Through the f32 vector kernels? Then a value does not depend on its neighbours or strides.
bool is_f32_like(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16; }

int64_t wrap(uint64_t x) { return static_cast<int64_t>(x); }

/// The unary functors that integers have; overflow wraps around.
int64_t apply_i64(UnaryOp op, int64_t x) {
  const uint64_t u = static_cast<uint64_t>(x),
                 p = static_cast<uint64_t>(static_cast<int64_t>(op.p0));
  if (op.index == unary_op(Neg{}).index) return wrap(0 - u);
  if (op.index == unary_op(Abs{}).index) return x < 0 ? wrap(0 - u) : x;
  if (op.index == unary_op(Square{}).index) return wrap(u * u);
  if (op.index == unary_op(AddScalar{}).index) return wrap(u + p);
  return wrap(u * p);
}

bool i64_has(UnaryOp op) {
  for (int index : {unary_op(Neg{}).index, unary_op(Abs{}).index, unary_op(Square{}).index,
                    unary_op(AddScalar{}).index, unary_op(MulScalar{}).index}) {
    if (op.index == index) return true;
  }
  return false;
}

/// The binary functors on integers; overflow wraps around, x / 0 is 0.
template <class F>
int64_t apply_i64(int64_t a, int64_t b) {
  const uint64_t u = static_cast<uint64_t>(a), v = static_cast<uint64_t>(b);
  if constexpr (std::is_same_v<F, Add>) return wrap(u + v);
  if constexpr (std::is_same_v<F, Sub>) return wrap(u - v);
  if constexpr (std::is_same_v<F, Mul>) return wrap(u * v);
  if constexpr (std::is_same_v<F, Div>) return b == 0 ? 0 : b == -1 ? wrap(0 - u) : a / b;
  if constexpr (std::is_same_v<F, Maximum>) return a < b ? b : a;
  if constexpr (std::is_same_v<F, Minimum>) return a > b ? b : a;
}

/// y[i] = f(a[i], b[i]) on a row of any strides.
template <class T, class F>
void binary_row(const T* a, int64_t sa, const T* b, int64_t sb, T* y, int64_t sy, int64_t n, F f) {
  if (sa == 1 && sb == 1 && sy == 1) {
    for (int64_t i = 0; i < n; ++i) y[i] = f(a[i], b[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) y[i * sy] = f(a[i * sa], b[i * sb]);
  }
}

template <class T, class F>
void binary_loop(const Loop<3>& loop, const ConstView& a, const ConstView& b, const View& y, F f) {
  const auto s = loop.inner_stride();
  for_rows(loop, kGrain, [&](const auto& o, int64_t n) {
    binary_row(at<T>(a, o[1]), s[1], at<T>(b, o[2]), s[2], at<T>(y, o[0]), s[0], n, f);
  });
}

template <class T, class F>
void compare_loop(const Loop<3>& loop, const ConstView& a, const ConstView& b, const View& y, F f) {
  const auto s = loop.inner_stride();
  for_rows(loop, kGrain, [&](const auto& o, int64_t n) {
    const T* p = at<T>(a, o[1]);
    const T* q = at<T>(b, o[2]);
    bool* to = at<bool>(y, o[0]);
    if (s[0] == 1 && s[1] == 1 && s[2] == 1) {
      for (int64_t i = 0; i < n; ++i) to[i] = f(widen(p[i]), widen(q[i]));
    } else {
      for (int64_t i = 0; i < n; ++i) to[i * s[0]] = f(widen(p[i * s[1]]), widen(q[i * s[2]]));
    }
  });
}

/// `where` moves elements and computes nothing: it needs their size alone. Bits are selected by a
/// mask, since a branch on data would be predicted wrong half the time.
template <class T>
void where_loop(const Loop<4>& loop, const ConstView& condition, const ConstView& a,
                const ConstView& b, const View& y) {
  const auto s = loop.inner_stride();
  for_rows(loop, kGrain, [&](const auto& o, int64_t n) {
    const bool* c = at<bool>(condition, o[1]);
    const T* p = at<T>(a, o[2]);
    const T* q = at<T>(b, o[3]);
    T* to = at<T>(y, o[0]);
    if (s[0] == 1 && s[1] == 1) {
      with_small_stride(s[2], [&](auto sa) {
        with_small_stride(s[3], [&](auto sb) {
          for (int64_t i = 0; i < n; ++i) {
            const T mask = static_cast<T>(-static_cast<T>(c[i]));
            to[i] = static_cast<T>((p[i * sa] & mask) | (q[i * sb] & static_cast<T>(~mask)));
          }
        });
      });
    } else {
      for (int64_t i = 0; i < n; ++i) to[i * s[0]] = c[i * s[1]] ? p[i * s[2]] : q[i * s[3]];
    }
  });
}

}  // namespace

void CpuBackend::fill(double value, View y) {
  const auto loop = make_loop<1>(y.shape, {&y.strides});
  const auto s = loop.inner_stride();
  visit_dtype(y.dtype, [&]<class T>(TypeTag<T>) {
    const T v = convert<T>(value);
    for_rows(loop, kGrain, [&](const auto& o, int64_t n) {
      T* to = at<T>(y, o[0]);
      with_unit_stride(s[0], [&](auto sy) {
        for (int64_t i = 0; i < n; ++i) to[i * sy] = v;
      });
    });
  });
}

void CpuBackend::arange(double start, double step, View y) {
  visit_dtype(y.dtype, [&]<class T>(TypeTag<T>) {
    T* to = y.as<T>();
    parallel_ranges(y.numel(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        to[i] = convert<T>(start + static_cast<double>(i) * step);
      }
    });
  });
}

void CpuBackend::unary(UnaryOp f, ConstView x, View y) {
  const auto loop = make_loop<2>(y.shape, {&y.strides, &x.strides});
  const auto s = loop.inner_stride();
  if (is_f32_like(x.dtype) && is_f32_like(y.dtype)) {
    const ElementwiseKernels& k = elementwise_kernels();
    for_rows(loop, kGrain, [&](const auto& o, int64_t n) {
      const F32Input in(k, x, o[1], s[1]);
      const F32Output out(k, y, o[0], s[0]);
      for (int64_t i = 0; i < n; i += kRowBlock) {
        const int64_t count = std::min(kRowBlock, n - i);
        float buffer[kRowBlock];
        float* to = out.where(i, buffer);
        k.unary(f, in.get(i, count, buffer), to, count);
        out.put(i, count, to);
      }
    });
    return;
  }
  check<InternalError>(
      x.dtype == y.dtype && (x.dtype == DType::f64 || (x.dtype == DType::i64 && i64_has(f))),
      "cpu unary: functor {} from {} to {}", f.index, x.dtype, y.dtype);
  if (x.dtype == DType::i64) {
    for_rows(loop, kGrain, [&](const auto& o, int64_t n) {
      const int64_t* from = at<int64_t>(x, o[1]);
      int64_t* to = at<int64_t>(y, o[0]);
      for (int64_t i = 0; i < n; ++i) to[i * s[0]] = apply_i64(f, from[i * s[1]]);
    });
    return;
  }
  visit(f, [&](auto functor) {
    for_rows(loop, kGrain, [&](const auto& o, int64_t n) {
      const double* from = at<double>(x, o[1]);
      double* to = at<double>(y, o[0]);
      if (s[0] == 1 && s[1] == 1) {
        for (int64_t i = 0; i < n; ++i) to[i] = functor(from[i]);
      } else {
        for (int64_t i = 0; i < n; ++i) to[i * s[0]] = functor(from[i * s[1]]);
      }
    });
  });
}

void CpuBackend::binary(BinaryOp f, ConstView a, ConstView b, View y) {
  const auto loop = make_loop<3>(y.shape, {&y.strides, &a.strides, &b.strides});
  const auto s = loop.inner_stride();
  if (is_f32_like(a.dtype) && is_f32_like(b.dtype) && is_f32_like(y.dtype)) {
    const ElementwiseKernels& k = elementwise_kernels();
    for_rows(loop, kGrain, [&](const auto& o, int64_t n) {
      const F32Input left(k, a, o[1], s[1]), right(k, b, o[2], s[2]);
      const F32Output out(k, y, o[0], s[0]);
      for (int64_t i = 0; i < n; i += kRowBlock) {
        const int64_t count = std::min(kRowBlock, n - i);
        float p[kRowBlock], q[kRowBlock];
        float* to = out.where(i, p);
        const float* from_a = left.get_or_one(i, count, p);
        const float* from_b = right.get_or_one(i, count, q);
        k.binary(f, from_a, left.step(), from_b, right.step(), to, count);
        out.put(i, count, to);
      }
    });
    return;
  }
  check<InternalError>(a.dtype == b.dtype && a.dtype == y.dtype, "cpu binary: {} and {} to {}",
                       a.dtype, b.dtype, y.dtype);
  visit(f, [&]<class F>(F functor) {
    switch (y.dtype) {
      case DType::f64:
        return binary_loop<double>(loop, a, b, y, functor);
      case DType::i64:
        return binary_loop<int64_t>(loop, a, b, y,
                                    [](int64_t p, int64_t q) { return apply_i64<F>(p, q); });
      case DType::boolean:
        if constexpr (std::is_same_v<F, Mul> || std::is_same_v<F, Minimum>) {
          return binary_loop<bool>(loop, a, b, y, [](bool p, bool q) { return p && q; });
        } else if constexpr (std::is_same_v<F, Maximum>) {
          return binary_loop<bool>(loop, a, b, y, [](bool p, bool q) { return p || q; });
        }
        [[fallthrough]];
      default:
        fail<InternalError>("cpu binary: {} of {}", F::name, y.dtype);
    }
  });
}

void CpuBackend::compare(CompareOp f, ConstView a, ConstView b, View y) {
  check<InternalError>(a.dtype == b.dtype && y.dtype == DType::boolean,
                       "cpu compare: {} and {} to {}", a.dtype, b.dtype, y.dtype);
  const auto loop = make_loop<3>(y.shape, {&y.strides, &a.strides, &b.strides});
  visit_dtype(a.dtype, [&]<class T>(TypeTag<T>) {
    switch (f) {
      case CompareOp::equal:
        return compare_loop<T>(loop, a, b, y, [](auto p, auto q) { return p == q; });
      case CompareOp::not_equal:
        return compare_loop<T>(loop, a, b, y, [](auto p, auto q) { return p != q; });
      case CompareOp::less:
        return compare_loop<T>(loop, a, b, y, [](auto p, auto q) { return p < q; });
      case CompareOp::less_equal:
        return compare_loop<T>(loop, a, b, y, [](auto p, auto q) { return p <= q; });
      case CompareOp::greater:
        return compare_loop<T>(loop, a, b, y, [](auto p, auto q) { return p > q; });
      case CompareOp::greater_equal:
        return compare_loop<T>(loop, a, b, y, [](auto p, auto q) { return p >= q; });
    }
  });
}

void CpuBackend::where(ConstView condition, ConstView a, ConstView b, View y) {
  check<InternalError>(
      condition.dtype == DType::boolean && a.dtype == b.dtype && a.dtype == y.dtype,
      "cpu where: {} ? {} : {} to {}", condition.dtype, a.dtype, b.dtype, y.dtype);
  const auto loop = make_loop<4>(y.shape, {&y.strides, &condition.strides, &a.strides, &b.strides});
  switch (size_of(y.dtype)) {
    case 1:
      return where_loop<uint8_t>(loop, condition, a, b, y);
    case 2:
      return where_loop<uint16_t>(loop, condition, a, b, y);
    case 4:
      return where_loop<uint32_t>(loop, condition, a, b, y);
    default:
      return where_loop<uint64_t>(loop, condition, a, b, y);
  }
}

}  // namespace tessera
