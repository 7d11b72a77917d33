#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace tessera {

/// Base of every exception this library throws. The library never aborts and never prints.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Sizes or ranks do not fit together.
class ShapeError : public Error {
  using Error::Error;
};
/// A dtype is not accepted, or two dtypes differ.
class DTypeError : public Error {
  using Error::Error;
};
/// Tensors on different devices, or a device that this build or machine does not have.
class DeviceError : public Error {
  using Error::Error;
};
/// An index lies outside its axis.
class IndexError : public Error {
  using Error::Error;
};
/// An option or configuration value is out of its range.
class ValueError : public Error {
  using Error::Error;
};
/// Wrong order of calls, a tensor changed after it was saved, a state dict that does not fit.
class StateError : public Error {
  using Error::Error;
};
/// A file or stream could not be read or written, or holds something malformed.
class IoError : public Error {
  using Error::Error;
};
/// No memory: says what was asked for, what is live and what is cached.
class OutOfMemory : public Error {
  using Error::Error;
};
/// A mistake of this library, never of its user.
class InternalError : public Error {
  using Error::Error;
};

namespace detail {
void append(std::string& out, std::string_view value);
void append(std::string& out, bool value);
void append(std::string& out, long long value);
void append(std::string& out, unsigned long long value);
void append(std::string& out, double value);

/// Text up to the next "{}" is copied; returns what follows it.
std::string_view copy_until_hole(std::string& out, std::string_view pattern);

template <class T>
void append_any(std::string& out, const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    append(out, value);
  } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
    append(out, static_cast<long long>(value));
  } else if constexpr (std::is_integral_v<T>) {
    append(out, static_cast<unsigned long long>(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    append(out, static_cast<double>(value));
  } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    append(out, std::string_view(value));
  } else {
    append(out, std::string_view(to_string(value)));  // found by argument-dependent lookup
  }
}
}  // namespace detail

/// Replaces each "{}" by the next argument: numbers, text, or anything with a `to_string`.
template <class... Args>
std::string format(std::string_view pattern, const Args&... args) {
  std::string out;
  ((pattern = detail::copy_until_hole(out, pattern), detail::append_any(out, args)), ...);
  out += pattern;
  return out;
}

/// 16 hexadecimal digits: how hashes are written.
std::string hex_digits(uint64_t value);

/// Throws `E` with a formatted message.
template <class E, class... Args>
[[noreturn]] void fail(std::string_view pattern, const Args&... args) {
  throw E(format(pattern, args...));
}

/// Throws `E` unless `ok`. The arguments are formatted only on failure.
template <class E, class... Args>
void check(bool ok, std::string_view pattern, const Args&... args) {
  if (!ok) [[unlikely]]
    fail<E>(pattern, args...);
}

}  // namespace tessera
