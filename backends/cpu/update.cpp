#include "backends/cpu/isa/update.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_features.h"
#include "backends/cpu/loops_internal.h"
#include "backends/cpu/scratch.h"

namespace tessera {
namespace {

constexpr int64_t kUpdateGrain = 16384;

/// Chunks of all tensors, one after another. The few numbers it needs do not come from the tensors'
/// allocator: an optimizer that has changed some parameters must not run out of memory before the
/// others.
template <class Items, class Size, class F>
void for_chunks(const Items& items, Size&& size, F&& f) {
  std::vector<int64_t> start(items.size() + 1, 0);
  for (size_t i = 0; i < items.size(); ++i) {
    start[i + 1] = start[i] + (size(items[i]) + kUpdateGrain - 1) / kUpdateGrain;
  }
  parallel_for(start[items.size()], [&](int64_t chunk) {
    const auto after = std::upper_bound(start.begin(), start.end(), chunk);
    const size_t item = static_cast<size_t>(after - start.begin() - 1);
    const int64_t begin = (chunk - start[item]) * kUpdateGrain;
    f(items[item], chunk, begin, std::min(begin + kUpdateGrain, size(items[item])));
  });
}

const UpdateKernels& update_kernels() { return TESSERA_OF_ACTIVE_ISA(update_kernels); }

/// Every constant is computed in f64, then rounded to the parameters' type.
template <class T>
AdamWConstants<T> constants_of(const AdamWTensor& t, const AdamWArgs& a, double grad_scale) {
  const double step = static_cast<double>(a.step);
  const double correction1 = 1 - std::pow(a.beta1, step), correction2 = 1 - std::pow(a.beta2, step);
  return {.scale = static_cast<T>(grad_scale),
          .beta1 = static_cast<T>(a.beta1),
          .one_minus_beta1 = static_cast<T>(1 - a.beta1),
          .beta2 = static_cast<T>(a.beta2),
          .one_minus_beta2 = static_cast<T>(1 - a.beta2),
          .keep = static_cast<T>(1 - t.lr * t.weight_decay),
          .rate = static_cast<T>(t.lr / correction1),
          .root = static_cast<T>(1 / std::sqrt(correction2)),
          .eps = static_cast<T>(a.eps),
          .decay = static_cast<T>(a.average_decay),
          .one_minus_decay = static_cast<T>(1 - a.average_decay)};
}

template <class T, class Kernel>
void adamw_chunk(Kernel kernel, const AdamWTensor& t, const AdamWArgs& args, double grad_scale,
                 int64_t begin, int64_t end) {
  T* average = t.average ? t.average.as<T>() + begin : nullptr;
  kernel(constants_of<T>(t, args, grad_scale), t.grad.as<T>() + begin, t.param.as<T>() + begin,
         t.m.as<T>() + begin, t.v.as<T>() + begin, average, end - begin);
}

}  // namespace

void CpuBackend::global_norm(std::span<const ConstView> tensors, View y) {
  auto size = [](const ConstView& v) { return v.numel(); };
  int64_t chunks = 0;
  for (const ConstView& v : tensors) chunks += (v.numel() + kUpdateGrain - 1) / kUpdateGrain;
  const Scratch partial = Scratch::of<double>(chunks);
  const UpdateKernels& k = update_kernels();
  for_chunks(tensors, size, [&](const ConstView& v, int64_t chunk, int64_t begin, int64_t end) {
    partial.as<double>()[chunk] = v.dtype == DType::f64
                                      ? k.square_sum_f64(v.as<double>() + begin, end - begin)
                                      : k.square_sum_f32(v.as<float>() + begin, end - begin);
  });
  double total = 0;
  for (int64_t i = 0; i < chunks; ++i) total += partial.as<double>()[i];
  if (y.dtype == DType::f64) {
    *y.as<double>() = std::sqrt(total);
  } else {
    *y.as<float>() = static_cast<float>(std::sqrt(total));
  }
}

void CpuBackend::adamw(std::span<const AdamWTensor> tensors, const AdamWArgs& args) {
  double scale = 1;
  if (args.grad_scale) {
    scale = args.grad_scale.dtype == DType::f64 ? *args.grad_scale.as<double>()
                                                : static_cast<double>(*args.grad_scale.as<float>());
  }
  const UpdateKernels& k = update_kernels();
  auto size = [](const AdamWTensor& t) { return t.param.numel(); };
  for_chunks(tensors, size, [&](const AdamWTensor& t, int64_t, int64_t begin, int64_t end) {
    if (t.param.dtype == DType::f64) {
      adamw_chunk<double>(k.adamw_f64, t, args, scale, begin, end);
    } else {
      adamw_chunk<float>(k.adamw_f32, t, args, scale, begin, end);
    }
  });
}

}  // namespace tessera
