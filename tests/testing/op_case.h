#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <type_traits>
#include <vector>

#include "tensor/ops/layer_norm.h"

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

/// One row of an op's test table: data. What is checked of it is in op_test.cpp.
struct OpCase {
  std::string name;
  Tensors inputs;              ///< f64; undefined: absent
  CaseFunction run = {};       ///< the op
  CaseFunction expected = {};  ///< the same by other means: its composition, or plain loops
  /// `expected` is made of differentiable ops: derivatives are compared too.
  bool composed = false;
  /// Inputs of the same op with an empty axis; none: the op has no such form.
  Tensors empty = {};
  /// Inputs may be replaced by an expanded row of themselves.
  bool expandable = true;
  /// Terms in the longest sum: for tolerances.
  int64_t length = 1;
  /// Also in f32 (false: it is about f64 or about dtypes).
  bool narrow = true;
};

inline void PrintTo(const OpCase& c, std::ostream* out) { *out << c.name; }

}  // namespace tessera::testing
