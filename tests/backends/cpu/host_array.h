#pragma once

#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "backends/cpu/convert_internal.h"
#include "tensor/base/rng.h"
#include "tensor/base/view.h"
#include "tests/testing/epsilon.h"

/// Operands for kernel tests: any dtype, laid out in memory in several ways, read and written as
/// double by their row-major number.
namespace tessera {

/// contiguous; transposed: strides of the reversed shape; sliced: every second element of each
/// axis, so nothing is contiguous; expanded: the first axis has stride 0 (inputs only).
enum class Layout { contiguous, transposed, sliced, expanded };

inline std::string to_string(Layout layout) {
  switch (layout) {
    case Layout::contiguous:
      return "contiguous";
    case Layout::transposed:
      return "transposed";
    case Layout::sliced:
      return "sliced";
    case Layout::expanded:
      return "expanded";
  }
  return "?";
}

class HostArray {
 public:
  HostArray(DType dtype, const Shape& shape, Layout layout = Layout::contiguous)
      : dtype_(dtype), shape_(shape) {
    strides_ = Strides::filled(shape.rank(), 0);
    int64_t step = layout == Layout::sliced ? 2 : 1, last = 0;
    for (int k = 0; k < shape.rank(); ++k) {
      const int i = layout == Layout::transposed ? k : shape.rank() - 1 - k;
      if (layout == Layout::expanded && i == 0) continue;
      strides_[i] = step;
      step *= std::max<int64_t>(shape[i], 1) * (layout == Layout::sliced ? 2 : 1);
    }
    for (int i = 0; i < shape.rank(); ++i) last += std::max<int64_t>(shape[i] - 1, 0) * strides_[i];
    bytes_.assign(static_cast<size_t>(last + 1 + 2 * kGuard) * size_of(dtype), kPattern);
    for (int64_t i = 0; i < numel(); ++i) {
      int64_t rest = i, o = 0;
      for (int k = shape.rank() - 1; k >= 0; --k) {
        o += rest % shape[k] * strides_[k];
        rest /= shape[k];
      }
      offsets_.push_back(o);
    }
    // Unwritten booleans must be booleans.
    if (dtype == DType::boolean) std::fill(bytes_.begin(), bytes_.end(), char{0});
    before_ = bytes_;
  }

  View view() { return {address(0), dtype_, shape_, strides_}; }
  ConstView in() const { return {address(0), dtype_, shape_, strides_}; }
  int64_t numel() const { return tessera::numel(shape_); }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }

  /// Offset, in elements, of row-major element i.
  int64_t offset(int64_t i) const { return offsets_[static_cast<size_t>(i)]; }
  double get(int64_t i) const {
    const void* p = address(offset(i));
    switch (dtype_) {
      case DType::f32:
        return static_cast<double>(*static_cast<const float*>(p));
      case DType::f64:
        return *static_cast<const double*>(p);
      case DType::i64:
        return static_cast<double>(*static_cast<const int64_t*>(p));
      default:
        return visit_dtype(dtype_, [&]<class T>(TypeTag<T>) {
          return static_cast<double>(widen(*static_cast<const T*>(p)));
        });
    }
  }
  void set(int64_t i, double value) {
    visit_dtype(dtype_, [&]<class T>(TypeTag<T>) {
      *static_cast<T*>(address(offset(i))) = convert<T>(value);
    });
  }
  std::vector<double> values() const {
    std::vector<double> all;
    for (int64_t i = 0; i < numel(); ++i) all.push_back(get(i));
    return all;
  }
  HostArray& fill(const std::function<double(int64_t)>& f) {
    for (int64_t i = 0; i < numel(); ++i) set(i, f(i));
    return *this;
  }
  /// Numbers in [low, high); whole ones for integers.
  HostArray& random(uint64_t key, double low = -2, double high = 2) {
    RandomStream stream(RandomKey{key});
    return fill([&](int64_t) {
      const double v = stream.uniform(low, high);
      return is_floating(dtype_) ? v : std::floor(v);
    });
  }

  /// Remembers the bytes; `untouched_outside` then finds writes beside the elements.
  void arm() { before_ = bytes_; }
  ::testing::AssertionResult untouched_outside() const {
    std::vector<char> now = bytes_, then = before_;
    const size_t size = size_of(dtype_);
    for (int64_t i = 0; i < numel(); ++i) {
      const size_t at = static_cast<size_t>(kGuard + offset(i)) * size;
      std::memset(now.data() + at, 0, size);
      std::memset(then.data() + at, 0, size);
    }
    if (now == then) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "bytes beside the output were written";
  }
  const std::vector<char>& bytes() const { return bytes_; }

 private:
  const void* address(int64_t element) const {
    return bytes_.data() + static_cast<size_t>(kGuard + element) * size_of(dtype_);
  }
  void* address(int64_t element) {
    return bytes_.data() + static_cast<size_t>(kGuard + element) * size_of(dtype_);
  }

  static constexpr int64_t kGuard = 16;
  static constexpr char kPattern = 0x3B;

  DType dtype_;
  Shape shape_;
  Strides strides_;
  std::vector<int64_t> offsets_;
  std::vector<char> bytes_, before_;
};

inline ::testing::AssertionResult close(double got, double expected, double tolerance) {
  if (std::isnan(expected) && std::isnan(got)) return ::testing::AssertionSuccess();
  if (got == expected || std::abs(got - expected) <= tolerance) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << got << " instead of " << expected << ", off by "
                                       << std::abs(got - expected) << " of " << tolerance;
}

/// Shapes with what goes wrong: scalars, empty axes, ones, odd sizes, many axes, several chunks.
inline const std::vector<Shape>& test_shapes() {
  static const std::vector<Shape> shapes = {
      {},           {1},       {0},       {3, 0, 2}, {7}, {33}, {5, 17}, {1, 9, 1}, {2, 1, 3, 1, 2},
      {2, 3, 4, 5}, {130, 67}, {3, 11003}};
  return shapes;
}
inline constexpr Layout kInputLayouts[] = {Layout::contiguous, Layout::transposed, Layout::sliced,
                                           Layout::expanded};
inline constexpr Layout kOutputLayouts[] = {Layout::contiguous, Layout::transposed, Layout::sliced};

}  // namespace tessera
