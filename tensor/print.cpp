#include <cmath>
#include <cstdio>

#include "tensor/ops/shape_ops.h"
#include "tensor/tensor.h"

namespace tessera {

namespace {

constexpr int64_t kShown = 3;  // at each end of an axis that is cut
constexpr int64_t kLongest = 2 * kShown + 2;

template <class T>
std::string element_text(T x) {
  if constexpr (std::is_same_v<T, bool>) {
    return x ? "true" : "false";
  } else if constexpr (std::is_integral_v<T>) {
    return std::to_string(x);
  } else {
    return format("{}", static_cast<double>(x));
  }
}
std::string element_text(bf16 x) { return element_text(static_cast<float>(x)); }
std::string element_text(f16 x) { return element_text(static_cast<float>(x)); }

class Printer {
 public:
  explicit Printer(const ConstView& view) : view_(view) {}

  std::string text() {
    print(0, 0);
    return std::move(out_);
  }

 private:
  void print(int axis, int64_t offset) {
    if (axis == view_.rank()) {
      visit_dtype(view_.dtype,
                  [&]<class T>(TypeTag<T>) { out_ += element_text(view_.as<T>()[offset]); });
      return;
    }
    out_ += '[';
    const int64_t size = view_.shape[axis];
    for (int64_t i = 0; i < size; ++i) {
      if (i > 0) separate(axis);
      if (size > kLongest && i == kShown) {
        out_ += "...";
        i = size - kShown - 1;
        continue;
      }
      print(axis + 1, offset + i * view_.strides[axis]);
    }
    out_ += ']';
  }

  /// Neighbours of the last axis share a line; those of outer axes begin under each other.
  void separate(int axis) {
    out_ += ',';
    const int inner = view_.rank() - 1 - axis;
    if (inner == 0) {
      out_ += ' ';
    } else {
      out_.append(static_cast<size_t>(inner), '\n');
      out_.append(static_cast<size_t>(axis + 1), ' ');
    }
  }

  ConstView view_;
  std::string out_;
};

/// Only what is shown is brought over from another device.
Tensor ends_of_axes(const Tensor& x) {
  Tensor y = x;
  for (int i = 0; i < x.rank(); ++i) {
    const int64_t size = x.shape()[i];
    if (size <= kLongest) continue;
    // One more than is shown, so that the printer still sees a long axis and cuts it.
    y = concat({slice(y, i, 0, kLongest - kShown + 1), slice(y, i, size - kShown, size)}, i);
  }
  return y;
}

}  // namespace

std::string to_string(const Tensor& x) {
  if (!x.defined()) return "undefined tensor";
  std::string head = format("{} {}", x.shape(), x.dtype());
  if (x.device() != kCpu) head += " on " + to_string(x.device());
  if (x.numel() == 0) return head + " []";
  const Tensor host = x.device() == kCpu ? x : ends_of_axes(x.detach()).to(kCpu);
  const std::string elements = Printer(host.view()).text();
  return head + (x.rank() > 1 ? "\n" : " ") + elements;
}

}  // namespace tessera
