#pragma once

#include <cmath>
#include <cstdint>

#include "tensor/base/error.h"

namespace tessera::nn {

/// Linear warm-up, then half a cosine. Steps count from 0.
struct CosineSchedule {
  double peak = 1e-3;   ///< highest learning rate
  double floor = 1e-6;  ///< the lowest one, approached at the end
  int64_t warmup = 0;   ///< steps
  int64_t total = 1;    ///< steps, warm-up included; afterwards: floor
};

namespace detail {
inline void check_schedule(const CosineSchedule& s, int64_t step) {
  check<ValueError>(s.warmup >= 0 && s.warmup <= s.total,
                    "schedule: {} steps of warm-up in {} steps", s.warmup, s.total);
  check<ValueError>(step >= 0, "schedule: step is {}, but counts from 0", step);
}
/// From `peak` at step 0 to `floor` at step `count`.
inline double cosine(const CosineSchedule& s, int64_t step, int64_t count) {
  if (step >= count) return s.floor;
  const double turn = 3.141592653589793 * static_cast<double>(step) / static_cast<double>(count);
  return s.floor + 0.5 * (s.peak - s.floor) * (1 + std::cos(turn));
}
}  // namespace detail

/// Step 0 already learns: peak (step + 1) / warmup during warm-up, so its last step has the peak;
/// then floor + (peak - floor) (1 + cos(pi i / m)) / 2 for i = 1 … m - 1, floor afterwards.
/// Source of the cosine: Loshchilov, Hutter, arXiv:1608.03983, eq. 5.
inline double warmup_cosine(const CosineSchedule& s, int64_t step) {
  detail::check_schedule(s, step);
  if (step < s.warmup) {
    return s.peak * static_cast<double>(step + 1) / static_cast<double>(s.warmup);
  }
  if (s.warmup == 0) return detail::cosine(s, step, s.total);
  return detail::cosine(s, step - s.warmup + 1, s.total - s.warmup + 1);
}

/// As the released BEiT-3 recipes have it: the warm-up's values are evenly spaced from 0 to the
/// peak, both included, and the cosine starts at the peak again, which therefore occurs twice. The
/// first step has rate 0.
inline double warmup_cosine_inclusive(const CosineSchedule& s, int64_t step) {
  detail::check_schedule(s, step);
  if (step < s.warmup) {
    if (s.warmup == 1) return 0;
    return s.peak * static_cast<double>(step) / static_cast<double>(s.warmup - 1);
  }
  return detail::cosine(s, step - s.warmup, s.total - s.warmup);
}

}  // namespace tessera::nn
