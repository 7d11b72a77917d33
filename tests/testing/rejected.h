#pragma once

#include "tensor/ops/ops.h"
#include "tests/testing/op_case.h"

/// Short forms for tables of calls that must be refused.
namespace tessera::testing {

/// Ones of a dtype, to be looked at but not computed with.
inline Tensor of(const Shape& shape, DType dtype = DType::f32) {
  return ones(shape, {.dtype = dtype});
}
inline Tensor indices(const std::vector<int64_t>& list) {
  return from_data(list, {static_cast<int64_t>(list.size())});
}

/// A list of rejections; texts start with the name of the op that is refused.
class Rejections {
 public:
  template <class E, class F>
  void add(std::string op, F call, std::string text) {
    all_.push_back({std::move(op), [call = std::move(call)] { static_cast<void>(call()); },
                    typeid(E), std::move(text)});
  }
  std::vector<Rejection> take() { return std::move(all_); }

 private:
  std::vector<Rejection> all_;
};

inline const char* const kUndefined =
    "tensor: it is undefined (absent, or moved from): it has no shape and no elements; test with "
    ".defined()";

}  // namespace tessera::testing
