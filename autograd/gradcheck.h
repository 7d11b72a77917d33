#pragma once

#include <string>

#include "autograd/autograd.h"
#include "tensor/base/rng.h"

namespace tessera {

struct GradcheckOptions {
  /// Derivatives of which orders: 1 … order.
  int order = 1;
  /// Of the random weights and of the sample.
  RandomKey key{1};
  /// Distance of the points where f is evaluated, times max(1, |x|); 0: eps^(1/5), about 7e-4,
  /// where the rounding error of the differences, eps / h, meets their truncation error, h^4.
  double step = 0;
  /// What an error may exceed its bound by; 1 or more.
  double slack = 1;
  /// At most so many elements of each input are varied, chosen at random; 0: all.
  int64_t max_elements = 0;
};

/// What was compared, and where it was worst.
struct GradcheckReport {
  bool ok = true;
  int64_t cases = 0;       ///< derivatives compared
  double worst_error = 0;  ///< largest |analytic - numeric| / tolerance; ok if at most the slack
  int order = 0;           ///< of the worst; the following are its place and values
  size_t input = 0;        ///< an index into the inputs; behind them: of an incoming gradient
  int64_t element = 0;     ///< row-major
  double analytic = 0, numeric = 0, tolerance = 0;
  std::string message;  ///< all of this in a sentence
};

/// Compares the derivatives of `f` with differences.
///
/// Outputs are projected to one number, s = sum of v f(x) with random v. The derivative of s by
/// each element x is compared with (8 (s(x+h) - s(x-h)) - (s(x+2h) - s(x-2h))) / (12 h). The
/// tolerance is 64 eps S / h for rounding, where S sums |v| max(|f|, 1), plus a thousandth of the
/// distance between this and the three-point difference for truncation. The second order does the
/// same to the function (x, v) -> derivatives of s by x, the third to the second, and so on.
///
/// f        a function of its inputs alone, smooth within 2 h of them
/// inputs   any strides; floating ones must be f64, others are held fixed
/// Throws DTypeError for other inputs, ValueError for an order below 1.
GradcheckReport gradcheck(const TensorFunction& f, const Tensors& inputs,
                          const GradcheckOptions& options = {});

}  // namespace tessera
