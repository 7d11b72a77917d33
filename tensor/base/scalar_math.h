#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "tensor/base/device_code.h"

/// Scalar formulas, each written once: for float and double here, for `F32x16` in the CPU's
/// vector files, and by the CUDA compiler. They are branch-free (`select`), because a branch or a
/// `std::exp` would not vectorise. Vector types bring their own exp, log, … (found by
/// argument-dependent lookup).
namespace tessera {

namespace math {
TESSERA_HD inline float exp(float x) { return std::exp(x); }
TESSERA_HD inline double exp(double x) { return std::exp(x); }
TESSERA_HD inline float log(float x) { return std::log(x); }
TESSERA_HD inline double log(double x) { return std::log(x); }
TESSERA_HD inline float log1p(float x) { return std::log1p(x); }
TESSERA_HD inline double log1p(double x) { return std::log1p(x); }
TESSERA_HD inline float sqrt(float x) { return std::sqrt(x); }
TESSERA_HD inline double sqrt(double x) { return std::sqrt(x); }
TESSERA_HD inline float sin(float x) { return std::sin(x); }
TESSERA_HD inline double sin(double x) { return std::sin(x); }
TESSERA_HD inline float cos(float x) { return std::cos(x); }
TESSERA_HD inline double cos(double x) { return std::cos(x); }
TESSERA_HD inline float tanh(float x) { return std::tanh(x); }
TESSERA_HD inline double tanh(double x) { return std::tanh(x); }
TESSERA_HD inline float erf(float x) { return std::erf(x); }
TESSERA_HD inline double erf(double x) { return std::erf(x); }
TESSERA_HD inline float abs(float x) { return std::fabs(x); }
TESSERA_HD inline double abs(double x) { return std::fabs(x); }
TESSERA_HD inline float pow(float x, float y) { return std::pow(x, y); }
TESSERA_HD inline double pow(double x, double y) { return std::pow(x, y); }
TESSERA_HD inline float select(bool c, float a, float b) { return c ? a : b; }
TESSERA_HD inline double select(bool c, double a, double b) { return c ? a : b; }
}  // namespace math

inline constexpr double kSqrtHalf = 0.70710678118654752440;      // 1 / sqrt(2)
inline constexpr double kInvSqrtTwoPi = 0.39894228040143267794;  // 1 / sqrt(2 pi)

// ---- unary: y = f(x), with up to two constants ------------------------------------------------

struct Neg {
  static constexpr std::string_view name = "neg";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    return -x;
  }
};
struct Abs {
  static constexpr std::string_view name = "abs";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    using math::abs;
    return abs(x);
  }
};
/// -1, 0 or 1; NaN stays NaN.
struct Sign {
  static constexpr std::string_view name = "sign";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    using math::select;
    return select(x > T(0), T(1), select(x < T(0), T(-1), x));
  }
};
struct Exp {
  static constexpr std::string_view name = "exp";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    using math::exp;
    return exp(x);
  }
};
struct Log {
  static constexpr std::string_view name = "log";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    using math::log;
    return log(x);
  }
};
struct Sqrt {
  static constexpr std::string_view name = "sqrt";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    using math::sqrt;
    return sqrt(x);
  }
};
/// 1 / sqrt(x)
struct Rsqrt {
  static constexpr std::string_view name = "rsqrt";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    using math::sqrt;
    return T(1) / sqrt(x);
  }
};
/// 1 / x
struct Reciprocal {
  static constexpr std::string_view name = "reciprocal";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    return T(1) / x;
  }
};
struct Square {
  static constexpr std::string_view name = "square";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    return x * x;
  }
};
struct Sin {
  static constexpr std::string_view name = "sin";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    using math::sin;
    return sin(x);
  }
};
struct Cos {
  static constexpr std::string_view name = "cos";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    using math::cos;
    return cos(x);
  }
};
struct Tanh {
  static constexpr std::string_view name = "tanh";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    using math::tanh;
    return tanh(x);
  }
};
/// 1 / (1 + exp(-x))
struct Sigmoid {
  static constexpr std::string_view name = "sigmoid";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    using math::exp;
    return T(1) / (T(1) + exp(-x));
  }
};
/// log(1 + exp(x)), without overflow: max(x, 0) + log1p(exp(-|x|)).
struct Softplus {
  static constexpr std::string_view name = "softplus";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    using math::abs;
    using math::exp;
    using math::log1p;
    using math::select;
    return select(x > T(0), x, T(0)) + log1p(exp(-abs(x)));
  }
};
struct Relu {
  static constexpr std::string_view name = "relu";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    using math::select;
    return select(x < T(0), T(0), x);  // this way round, a NaN passes
  }
};
struct Erf {
  static constexpr std::string_view name = "erf";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    using math::erf;
    return erf(x);
  }
};
/// x Phi(x) with the normal distribution Phi: the exact (erf) form of GELU.
struct Gelu {
  static constexpr std::string_view name = "gelu";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    using math::erf;
    return T(0.5) * x * (T(1) + erf(x * T(kSqrtHalf)));
  }
};
/// The derivative of GELU: Phi(x) + x phi(x).
struct GeluGrad {
  static constexpr std::string_view name = "gelu_grad";
  template <class T>
  TESSERA_HD T operator()(T x) const {
    using math::erf;
    using math::exp;
    return T(0.5) * (T(1) + erf(x * T(kSqrtHalf))) + x * T(kInvSqrtTwoPi) * exp(T(-0.5) * x * x);
  }
};
/// x + p0
struct AddScalar {
  static constexpr std::string_view name = "add_scalar";
  double p0 = 0;
  template <class T>
  TESSERA_HD T operator()(T x) const {
    return x + T(p0);
  }
};
/// x * p0
struct MulScalar {
  static constexpr std::string_view name = "mul_scalar";
  double p0 = 1;
  template <class T>
  TESSERA_HD T operator()(T x) const {
    return x * T(p0);
  }
};
/// x ^ p0
struct PowScalar {
  static constexpr std::string_view name = "pow";
  double p0 = 1;
  template <class T>
  TESSERA_HD T operator()(T x) const {
    using math::pow;
    return pow(x, T(p0));
  }
};
/// min(max(x, p0), p1); a NaN passes.
struct Clamp {
  static constexpr std::string_view name = "clamp";
  double p0 = 0, p1 = 1;
  template <class T>
  TESSERA_HD T operator()(T x) const {
    using math::select;
    const T low = select(x < T(p0), T(p0), x);
    return select(low > T(p1), T(p1), low);
  }
};

// ---- binary: y = f(a, b) ----------------------------------------------------------------------

struct Add {
  static constexpr std::string_view name = "add";
  template <class T>
  TESSERA_HD T operator()(T a, T b) const {
    return a + b;
  }
};
struct Sub {
  static constexpr std::string_view name = "sub";
  template <class T>
  TESSERA_HD T operator()(T a, T b) const {
    return a - b;
  }
};
struct Mul {
  static constexpr std::string_view name = "mul";
  template <class T>
  TESSERA_HD T operator()(T a, T b) const {
    return a * b;
  }
};
struct Div {
  static constexpr std::string_view name = "div";
  template <class T>
  TESSERA_HD T operator()(T a, T b) const {
    return a / b;
  }
};
/// The larger; where equal, a. A NaN in a or b gives NaN.
struct Maximum {
  static constexpr std::string_view name = "maximum";
  template <class T>
  TESSERA_HD T operator()(T a, T b) const {
    using math::select;
    return select(a < b, b, select(a >= b, a, a + b));
  }
};
/// The smaller; where equal, a. A NaN in a or b gives NaN.
struct Minimum {
  static constexpr std::string_view name = "minimum";
  template <class T>
  TESSERA_HD T operator()(T a, T b) const {
    using math::select;
    return select(a > b, b, select(a <= b, a, a + b));
  }
};

// ---- the lists: a functor's place in its list is its number in a `UnaryOp` or `BinaryOp` ------

template <class... F>
struct FunctorList {
  static constexpr int size = sizeof...(F);
};

using UnaryFunctors =
    FunctorList<Neg, Abs, Sign, Exp, Log, Sqrt, Rsqrt, Reciprocal, Square, Sin, Cos, Tanh, Sigmoid,
                Softplus, Relu, Erf, Gelu, GeluGrad, AddScalar, MulScalar, PowScalar, Clamp>;
using BinaryFunctors = FunctorList<Add, Sub, Mul, Div, Maximum, Minimum>;

template <class F, class... L>
constexpr int functor_index(FunctorList<L...>) {
  int index = 0;
  static_cast<void>(((std::is_same_v<F, L> ? false : (++index, true)) && ...));
  return index;
}

/// Which unary functor, with its constants.
struct UnaryOp {
  int index = 0;
  double p0 = 0, p1 = 0;
};

/// Which binary functor.
struct BinaryOp {
  int index = 0;
};

template <class F>
constexpr UnaryOp unary_op(F f) {
  constexpr int index = functor_index<F>(UnaryFunctors{});
  static_assert(index < UnaryFunctors::size, "append the functor to UnaryFunctors");
  if constexpr (requires { f.p1; }) return {index, f.p0, f.p1};
  if constexpr (requires { f.p0; }) return {index, f.p0, 0};
  return {index, 0, 0};
}

template <class F>
constexpr BinaryOp binary_op(F) {
  constexpr int index = functor_index<F>(BinaryFunctors{});
  static_assert(index < BinaryFunctors::size, "append the functor to BinaryFunctors");
  return {index};
}

namespace detail {
template <class V, class... F>
void visit_functor(int index, double p0, double p1, V& visitor, FunctorList<F...>) {
  int i = 0;
  auto try_one = [&]<class One>(One f) {
    if (i++ != index) return true;
    if constexpr (requires { f.p0; }) f.p0 = p0;
    if constexpr (requires { f.p1; }) f.p1 = p1;
    visitor(f);
    return false;
  };
  static_cast<void>((try_one(F{}) && ...));
}
}  // namespace detail

/// Calls `visitor(functor)` with the functor that `op` names.
template <class V>
void visit(UnaryOp op, V&& visitor) {
  detail::visit_functor(op.index, op.p0, op.p1, visitor, UnaryFunctors{});
}
template <class V>
void visit(BinaryOp op, V&& visitor) {
  detail::visit_functor(op.index, 0, 0, visitor, BinaryFunctors{});
}

enum class CompareOp : uint8_t { equal, not_equal, less, less_equal, greater, greater_equal };
enum class ReduceOp : uint8_t { sum, max, min };

}  // namespace tessera
