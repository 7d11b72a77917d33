#pragma once

#include <type_traits>

#include "tensor/base/dtype.h"

namespace tessera {

/// The number an element stands for: float for the 16-bit types, otherwise itself.
template <class T>
inline auto widen(T x) {
  if constexpr (std::is_same_v<T, bf16> || std::is_same_v<T, f16>) {
    return static_cast<float>(x);
  } else {
    return x;
  }
}

/// An element of one dtype as another: to boolean x != 0; from floating to integer truncated.
template <class To, class From>
inline To convert(From from) {
  const auto x = widen(from);
  using X = std::remove_const_t<decltype(x)>;
  if constexpr (std::is_same_v<To, From>) {
    return from;
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != X(0);
  } else if constexpr (std::is_same_v<To, bf16> || std::is_same_v<To, f16>) {
    return To(static_cast<float>(x));
  } else if constexpr (std::is_integral_v<To> && std::is_floating_point_v<X>) {
    return static_cast<To>(static_cast<int64_t>(x));
  } else {
    return static_cast<To>(x);
  }
}

/// The type in which elements are computed and summed: float for the 16-bit types.
template <class T>
using Compute = decltype(widen(T{}));

}  // namespace tessera
