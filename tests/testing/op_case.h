#pragma once

#include <functional>
#include <limits>
#include <ostream>
#include <string>
#include <type_traits>
#include <typeindex>
#include <utility>
#include <vector>

#include "tensor/ops/layer_norm.h"
#include "tests/testing/rounded.h"

namespace tessera::testing {

/// A function of tensors that returns one, several, or a `SumAndNorm`.
class CaseFunction {
 public:
  CaseFunction() = default;
  template <class F>
  requires std::is_invocable_v<F, const Tensors&> CaseFunction(F f)
      : function_([f = std::move(f)](const Tensors& in) { return list(f(in)); }) {}

  explicit operator bool() const { return static_cast<bool>(function_); }
  Tensors operator()(const Tensors& in) const { return function_(in); }

 private:
  static Tensors list(Tensor y) { return {std::move(y)}; }
  static Tensors list(Tensors ys) { return ys; }
  static Tensors list(SumAndNorm y) { return {y.sum, y.norm}; }

  std::function<Tensors(const Tensors&)> function_;
};

/// The same by plain loops over elements, with the error that it may have.
class Reference {
 public:
  Reference() = default;
  template <class F>
  requires std::is_invocable_v<F, const Tensors&> Reference(F f)
      : function_([f = std::move(f)](const Tensors& in) { return list(f(in)); }) {}

  Grids operator()(const Tensors& in) const { return function_(in); }

 private:
  static Grids list(Grid y) { return {std::move(y)}; }
  static Grids list(Grids ys) { return ys; }

  std::function<Grids(const Tensors&)> function_;
};

/// The dtypes that most ops compute with, and those that moving elements about works for.
inline const std::vector<DType> kFloating{DType::f64, DType::f32, DType::bf16};
inline const std::vector<DType> kArithmetic{DType::f64, DType::f32, DType::bf16, DType::i64};
inline const std::vector<DType> kStored{DType::f64, DType::f32, DType::bf16, DType::f16,
                                        DType::i64, DType::i32, DType::u8};

/// One sample of an op: data. What is checked of it stands in op_test.cpp and its neighbours.
struct OpCase {
  std::string op;    ///< the record of the table that it belongs to
  std::string name;  ///< its shapes or options
  Tensors inputs;    ///< f64; undefined: absent
  CaseFunction run = {};
  Reference reference = {};
  /// The composition of differentiable ops that a fused op stands for; empty: it is none.
  CaseFunction composed = {};
  std::vector<DType> dtypes = kFloating;
  /// Inputs from here on stay f32 beside 16-bit ones.
  size_t parameters = std::numeric_limits<size_t>::max();
  /// Several ops, so that 16-bit results are rounded between them; else they are rounded once.
  bool several = false;
  /// Inputs may be replaced by an expanded row of themselves (not at the kinks of maxima).
  bool expandable = true;
  bool differentiable = true;
  /// The rule saves what it does not look at: its derivative is a number.
  bool constant_slope = false;
  /// In f32 it is another function (a mask drawn with fewer bits).
  bool narrow_differs = false;
  /// Terms in the longest sum of value and derivatives, for the tolerance of derivatives.
  int64_t length = 8;

  std::string full_name() const { return name.empty() ? op : op + ", " + name; }
};

/// A call that must be refused with exactly this.
struct Rejection {
  std::string op;
  std::function<void()> call;
  std::type_index error;
  std::string text;
};

/// One record of the table: all that tests know of an op.
struct OpEntry {
  std::string name;
  std::vector<OpCase> samples;
  std::vector<Rejection> rejected;
};

inline void PrintTo(const OpEntry& entry, std::ostream* out) { *out << entry.name; }

}  // namespace tessera::testing
