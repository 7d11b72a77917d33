#pragma once

#include "backends/cpu/isa/cross_entropy.h"
#include "tensor/base/backend_types.h"

namespace tessera {

/// The kernels of the active instruction set.
template <class T>
const CrossEntropyHalf<T>& cross_entropy_half();

/// The rows of one call, all of them.
template <class T>
CrossEntropyRows<T> cross_entropy_rows(const ConstView& logits, const ConstView& labels,
                                       const CrossEntropyArgs& args) {
  const Rows r = rows_of(logits);
  CrossEntropyRows<T> a;
  a.rows = r.rows;
  a.classes = r.cols;
  a.logits = logits.as<T>();
  a.stride = r.row_stride;
  a.labels = labels.as<int64_t>();
  a.ignore_index = args.ignore_index;
  a.smoothing = static_cast<T>(args.smoothing);
  return a;
}

/// Runs a kernel over all rows, in parallel.
template <class T>
void for_cross_entropy_rows(const CrossEntropyRows<T>& all,
                            void (*kernel)(const CrossEntropyRows<T>&));

}  // namespace tessera
