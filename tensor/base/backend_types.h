#pragma once

#include <cstdint>
#include <span>

#include "tensor/base/segment.h"
#include "tensor/base/view.h"

/// Parameters of kernels: plain structs, passed by value or as spans of host memory.
namespace tessera {

/// One matrix product, c = a b (+ bias) (+ c).
///
/// a     (M, K)  one of the two strides is 1 (the other way round it is a transposed matrix)
/// b     (K, N)  likewise
/// c     (M, N)  row view; overlaps no input
/// bias  (N)     added to every row; may be absent
/// sums  (M)     the sum of each row of a; may be absent
struct Product {
  ConstView a, b;
  View c;
  ConstView bias = {};
  bool accumulate = false;  ///< add to c instead of replacing it
  View sums = {};
  bool accumulate_sums = false;
};

/// The parameters of one range of rows in a grouped layer norm: rows from the previous group's end
/// (0 for the first) up to `row_end`.
struct NormGroup {
  int64_t row_end = 0;
  ConstView gamma, beta;  // (C)
};

/// Where the gradients of one group's parameters go. Absent: not wanted.
struct NormGroupGrad {
  View dgamma, dbeta;                                      // (C)
  bool accumulate_gamma = false, accumulate_beta = false;  ///< add instead of replacing
};

struct AttentionArgs {
  std::span<const Segment> segments;
  AttentionRule rule = AttentionRule::full;
  double scale = 1;  ///< of q k^T, usually 1 / sqrt(D)
};

struct CrossEntropyArgs {
  int64_t ignore_index = -100;  ///< rows with this label have loss 0 and gradient 0
  double smoothing = 0;         ///< mass spread evenly over all classes
};

/// One tensor of an AdamW step.
struct AdamWTensor {
  View param;  // f32 or f64, contiguous, any shape; the others alike
  ConstView grad;
  View m, v;     // first and second moment
  View average;  // moving average of the parameter; may be absent
  double lr = 0, weight_decay = 0;
};

struct AdamWArgs {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  int64_t step = 1;          ///< counts from 1, for the bias corrections
  double average_decay = 0;  ///< average = decay * average + (1 - decay) * param
  ConstView grad_scale;      ///< scalar f32 or f64: gradients are multiplied by it; may be absent
};

/// Bytes that a device's allocator holds.
struct MemoryStats {
  size_t live_bytes = 0;           ///< in use now
  size_t peak_bytes = 0;           ///< the most that was ever in use since the last reset
  size_t cached_bytes = 0;         ///< kept for reuse
  int64_t system_allocations = 0;  ///< times memory was asked from the system
};

}  // namespace tessera
