#pragma once

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tensor/ops/ops.h"
#include "tests/testing/epsilon.h"

/// Inputs and comparisons for tests of tensors.
namespace tessera::testing {

/// Standard normal, a function of shape, seed and dtype; f32 and f64 of one seed are equal up to
/// rounding.
inline Tensor random(const Shape& shape, uint64_t seed, DType dtype = DType::f64) {
  std::vector<double> values(static_cast<size_t>(numel(shape)));
  RandomStream stream(RandomKey{seed});
  for (double& v : values) v = stream.normal();
  return from_data(values, shape).to(dtype);
}

/// The same elements as x in other memory: transposed, cut out of a larger tensor (with an offset
/// and gaps), and reversed in the order of all axes.
inline std::vector<std::pair<std::string, Tensor>> layouts(const Tensor& x) {
  std::vector<std::pair<std::string, Tensor>> all{{"contiguous", x}};
  if (x.rank() == 0) return all;
  if (x.rank() >= 2) {
    all.emplace_back("transposed", transpose(transpose(x).contiguous()));
    Axes back;
    for (int i = x.rank() - 1; i >= 0; --i) back.push_back(i);
    all.emplace_back("reversed axes", permute(permute(x, back).contiguous(), back));
  }
  Tensor cut = x;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const int64_t size = cut.size(axis);
    const Tensor padded = concat({cut, cut, cut}, axis);
    cut = slice(padded, axis, size, 2 * size);
  }
  all.emplace_back("cut out", cut);
  const Tensor spread = reshape(stack(std::vector<Tensor>{x, x}, -1), {-1});
  if (x.numel() > 0) {
    all.emplace_back("every other", reshape(slice(spread, 0, 0, spread.numel(), 2), x.shape()));
  }
  return all;
}

/// Bound of the rounding of a result of size `scale` after sums of `length` terms.
inline double tolerance(DType dtype, int64_t length, double scale = 1) {
  return 8 * epsilon_of(dtype) * std::sqrt(static_cast<double>(length)) * scale;
}

/// Equal shape, and elements within `bound` (NaN equals NaN, infinities equal themselves).
inline void expect_close(const Tensor& actual, const Tensor& expected, double bound,
                         const std::string& what = "") {
  ASSERT_EQ(to_string(actual.shape()), to_string(expected.shape())) << what;
  const std::vector<double> a = actual.to_vector<double>(), b = expected.to_vector<double>();
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    ASSERT_LE(std::abs(a[i] - b[i]), bound)
        << what << ": element " << i << " is " << a[i] << ", expected " << b[i];
  }
}

inline void expect_equal(const Tensor& actual, const Tensor& expected,
                         const std::string& what = "") {
  EXPECT_EQ(to_string(actual.dtype()), to_string(expected.dtype())) << what;
  expect_close(actual, expected, 0, what);
}

inline void expect_values(const Tensor& actual, const Shape& shape,
                          const std::vector<double>& values, double bound = 0) {
  expect_close(actual, from_data(values, shape), bound);
}

/// Row-major positions of a shape, one after another.
inline std::vector<std::vector<int64_t>> positions(const Shape& shape) {
  std::vector<std::vector<int64_t>> all;
  std::vector<int64_t> at(shape.size(), 0);
  for (int64_t n = numel(shape); n > 0; --n) {
    all.push_back(at);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      auto& i = at[static_cast<size_t>(axis)];
      if (++i < shape[axis]) break;
      i = 0;
    }
  }
  return all;
}

/// Element at a position (axes beyond x's rank are dropped in front, axes of size 1 repeat).
inline double element(const Tensor& x, const std::vector<int64_t>& at) {
  int64_t offset = 0;
  const size_t added = at.size() - x.shape().size();
  for (int i = 0; i < x.rank(); ++i) {
    const int64_t index = x.shape()[i] == 1 ? 0 : at[static_cast<size_t>(i) + added];
    offset += index * x.strides()[i];
  }
  const ConstView v = x.view();
  return visit_dtype(x.dtype(), [&]<class T>(TypeTag<T>) -> double {
    const T e = v.as<T>()[offset];
    if constexpr (std::is_same_v<T, bf16> || std::is_same_v<T, f16>) {
      return static_cast<double>(static_cast<float>(e));
    } else {
      return static_cast<double>(e);
    }
  });
}

/// f64 tensor of f(position).
inline Tensor by_position(const Shape& shape,
                          const std::function<double(const std::vector<int64_t>&)>& f) {
  std::vector<double> values;
  for (const auto& at : positions(shape)) values.push_back(f(at));
  return from_data(values, shape);
}

/// Keeps what ops record, in place of autograd. Outlives the tensors that it watches.
struct Recorder {
  explicit Recorder(bool of_leaves = true) : leaves(of_leaves) {}
  bool leaves;
  std::vector<OpRecord> records;
};

/// A handle of the same elements that `recorder` watches.
inline Tensor watched(const Tensor& x, const std::shared_ptr<Recorder>& recorder) {
  // A plain pointer: the records own tensors, which own this.
  class Meta final : public AutogradMeta {
   public:
    explicit Meta(Recorder* to) : to_(to) {}
    void record(OpRecord record) override { to_->records.push_back(std::move(record)); }
    Tensor grad() const override { return {}; }
    bool is_leaf() const override { return to_->leaves; }

   private:
    Recorder* to_;
  };
  const Tensor y = x.detach();
  y.set_meta(std::make_shared<Meta>(recorder.get()));
  return y;
}

}  // namespace tessera::testing
