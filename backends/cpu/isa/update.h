#pragma once

#include <cstdint>

namespace tessera {

/// The constants of one tensor's AdamW step, in its type.
///
/// g = scale grad; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
/// p = keep p - rate m / (root sqrt(v) + eps); average = decay average + (1 - decay) p
template <class T>
struct AdamWConstants {
  T scale, beta1, one_minus_beta1, beta2, one_minus_beta2, keep, rate, root, eps;
  T decay, one_minus_decay;
};

/// Contiguous pieces of a parameter and its moments; `average` may be null.
struct UpdateKernels {
  void (*adamw_f32)(const AdamWConstants<float>& c, const float* grad, float* param, float* m,
                    float* v, float* average, int64_t n);
  void (*adamw_f64)(const AdamWConstants<double>& c, const double* grad, double* param, double* m,
                    double* v, double* average, int64_t n);
  double (*square_sum_f32)(const float* x, int64_t n);  ///< in f64
  double (*square_sum_f64)(const double* x, int64_t n);
};

namespace portable {
extern const UpdateKernels update_kernels;
}
namespace avx2 {
extern const UpdateKernels update_kernels;
}
namespace avx512 {
extern const UpdateKernels update_kernels;
}

}  // namespace tessera
