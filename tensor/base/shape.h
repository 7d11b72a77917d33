#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "tensor/base/error.h"

namespace tessera {

/// The most axes a tensor can have.
inline constexpr int kMaxRank = 8;

/// Up to eight integers, inline: the sizes of a tensor, its strides, or a list of axes.
class Dims {
 public:
  Dims() = default;
  Dims(std::initializer_list<int64_t> values) : Dims(std::span(values.begin(), values.size())) {}
  explicit Dims(std::span<const int64_t> values) {
    check<ShapeError>(values.size() <= kMaxRank, "shape: {} axes, but at most {} are supported",
                      values.size(), kMaxRank);
    for (int64_t v : values) value_[static_cast<size_t>(rank_++)] = v;
  }
  /// `rank` copies of `value`.
  static Dims filled(int rank, int64_t value) {
    Dims d;
    for (int i = 0; i < rank; ++i) d.push_back(value);
    return d;
  }

  int rank() const { return rank_; }
  size_t size() const { return static_cast<size_t>(rank_); }
  bool empty() const { return rank_ == 0; }
  int64_t& operator[](int i) { return value_[static_cast<size_t>(i)]; }
  int64_t operator[](int i) const { return value_[static_cast<size_t>(i)]; }
  int64_t back() const { return value_[static_cast<size_t>(rank_ - 1)]; }
  int64_t* begin() { return value_.data(); }
  int64_t* end() { return value_.data() + rank_; }
  const int64_t* begin() const { return value_.data(); }
  const int64_t* end() const { return value_.data() + rank_; }
  const int64_t* data() const { return value_.data(); }

  void push_back(int64_t v) {
    check<ShapeError>(rank_ < kMaxRank, "shape: more than {} axes", kMaxRank);
    value_[static_cast<size_t>(rank_++)] = v;
  }
  void insert(int at, int64_t v) {
    push_back(v);
    for (int i = rank_ - 1; i > at; --i) (*this)[i] = (*this)[i - 1];
    (*this)[at] = v;
  }
  void erase(int at) {
    for (int i = at; i + 1 < rank_; ++i) (*this)[i] = (*this)[i + 1];
    --rank_;
  }
  std::vector<int64_t> to_vector() const { return {begin(), end()}; }

  friend bool operator==(const Dims& a, const Dims& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i) {
      if (a[i] != b[i]) return false;
    }
    return true;
  }

 private:
  std::array<int64_t, kMaxRank> value_{};
  int rank_ = 0;
};

using Shape = Dims;    ///< Sizes, all >= 0.
using Strides = Dims;  ///< Steps between neighbours of an axis, in elements; 0 where expanded.
using Axes = Dims;     ///< Axis numbers; negative ones count from the end.

/// "(2, 197, 768)"; "()" for a scalar.
std::string to_string(const Dims& dims);

/// Product of the sizes; 1 for a scalar.
int64_t numel(const Shape& shape);

/// Strides of a row-major contiguous tensor.
Strides contiguous_strides(const Shape& shape);

/// The shape that both broadcast to (NumPy's rules). Throws ShapeError naming `op`.
Shape broadcast_shapes(std::string_view op, const Shape& a, const Shape& b);

/// `axis` counted from the front. Throws ShapeError naming `op` if it is not in -rank … rank-1.
int normalize_axis(std::string_view op, int64_t axis, int rank);

/// All axes counted from the front, ascending; empty means all axes. Refuses duplicates.
Axes normalize_axes(std::string_view op, const Axes& axes, int rank);

}  // namespace tessera
