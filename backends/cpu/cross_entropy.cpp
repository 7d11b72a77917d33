#include <algorithm>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_features.h"
#include "backends/cpu/cross_entropy_internal.h"
#include "tensor/base/parallel.h"

namespace tessera {
namespace {

const CrossEntropyKernels& cross_entropy_kernels() {
  return TESSERA_OF_ACTIVE_ISA(cross_entropy_kernels);
}

}  // namespace

template <>
const CrossEntropyHalf<float>& cross_entropy_half() {
  return cross_entropy_kernels().f32;
}
template <>
const CrossEntropyHalf<double>& cross_entropy_half() {
  return cross_entropy_kernels().f64;
}

template <class T>
void for_cross_entropy_rows(const CrossEntropyRows<T>& all,
                            void (*kernel)(const CrossEntropyRows<T>&)) {
  const int64_t grain = std::max<int64_t>(8192 / std::max<int64_t>(all.classes, 1), 1);
  parallel_ranges(all.rows, grain, [&](int64_t begin, int64_t end) {
    CrossEntropyRows<T> part = all;
    part.rows = end - begin;
    part.logits += begin * all.stride;
    part.labels += begin;
    if (part.loss != nullptr) part.loss += begin;
    if (part.lse != nullptr) part.lse += begin;
    if (part.best != nullptr) part.best += begin;
    if (part.g != nullptr) part.g += begin;
    if (part.dlogits != nullptr) part.dlogits += begin * all.dlogits_stride;
    kernel(part);
  });
}
template void for_cross_entropy_rows(const CrossEntropyRows<float>&,
                                     void (*)(const CrossEntropyRows<float>&));
template void for_cross_entropy_rows(const CrossEntropyRows<double>&,
                                     void (*)(const CrossEntropyRows<double>&));

namespace {

template <class T>
void run_forward(const ConstView& logits, const ConstView& labels, const CrossEntropyArgs& args,
                 const View& loss, const View& lse, const View& best) {
  CrossEntropyRows<T> a = cross_entropy_rows<T>(logits, labels, args);
  a.loss = loss.as<T>();
  a.lse = lse.as<T>();
  a.best = best.as<int64_t>();
  for_cross_entropy_rows(a, cross_entropy_half<T>().forward);
}

template <class T>
void run_backward(const ConstView& g, const ConstView& logits, const ConstView& labels,
                  const ConstView& lse, const CrossEntropyArgs& args, const View& dlogits) {
  CrossEntropyRows<T> a = cross_entropy_rows<T>(logits, labels, args);
  a.lse = const_cast<T*>(lse.as<T>());  // only read
  a.g = g.as<T>();
  a.dlogits = dlogits.as<T>();
  a.dlogits_stride = rows_of(dlogits).row_stride;
  for_cross_entropy_rows(a, cross_entropy_half<T>().backward);
}

}  // namespace

bool CpuBackend::try_cross_entropy(ConstView logits, ConstView labels, const CrossEntropyArgs& args,
                                   View loss, View lse, View best) {
  if (!is_contiguous(labels) || rows_of(logits).cols == 0) return false;
  if (logits.dtype == DType::f64) {
    run_forward<double>(logits, labels, args, loss, lse, best);
  } else if (logits.dtype == DType::f32) {
    run_forward<float>(logits, labels, args, loss, lse, best);
  } else {
    return false;
  }
  return true;
}

bool CpuBackend::try_cross_entropy_backward(ConstView g, ConstView logits, ConstView labels,
                                            ConstView lse, const CrossEntropyArgs& args,
                                            View dlogits) {
  if (!is_contiguous(labels) || !is_contiguous(g)) return false;
  if (logits.dtype == DType::f64) {
    run_backward<double>(g, logits, labels, lse, args, dlogits);
  } else if (logits.dtype == DType::f32) {
    run_backward<float>(g, logits, labels, lse, args, dlogits);
  } else {
    return false;
  }
  return true;
}

}  // namespace tessera
