// A backend of plain loops over doubles that declines every fused kernel. Linked into a second
// program with the same tests, it shows that ops are right by their compositions alone, and that
// what they ask of a backend is what backend.h says. It defines `backend()`, so that the registry
// is not pulled out of its library.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "backends/registry.h"
#include "tensor/base/view.h"

namespace tessera {
namespace {

double load(const ConstView& v, int64_t offset) {
  return visit_dtype(v.dtype, [&]<class T>(TypeTag<T>) -> double {
    if constexpr (std::is_same_v<T, bf16> || std::is_same_v<T, f16>) {
      return static_cast<double>(static_cast<float>(v.as<T>()[offset]));
    } else {
      return static_cast<double>(v.as<T>()[offset]);
    }
  });
}

void store(const View& v, int64_t offset, double x) {
  visit_dtype(v.dtype, [&]<class T>(TypeTag<T>) {
    if constexpr (std::is_same_v<T, bf16> || std::is_same_v<T, f16>) {
      v.as<T>()[offset] = T(static_cast<float>(x));
    } else if constexpr (std::is_same_v<T, bool>) {
      v.as<T>()[offset] = x != 0;
    } else {
      v.as<T>()[offset] = static_cast<T>(x);
    }
  });
}

int64_t offset_of(const Shape& shape, const Strides& strides, const Dims& at) {
  int64_t offset = 0;
  for (int i = 0; i < shape.rank(); ++i) offset += (shape[i] == 1 ? 0 : at[i]) * strides[i];
  return offset;
}
int64_t offset_of(const ConstView& v, const Dims& at) { return offset_of(v.shape, v.strides, at); }

template <class F>
void for_each(const Shape& shape, F f) {
  Dims at = Dims::filled(shape.rank(), 0);
  for (int64_t n = numel(shape); n > 0; --n) {
    f(at);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      if (++at[axis] < shape[axis]) break;
      at[axis] = 0;
    }
  }
}

double as_dtype(DType dtype, double x) {
  return dtype == DType::f32 ? static_cast<double>(static_cast<float>(x)) : x;
}

class NaiveBackend final : public Backend {
 public:
  std::string_view name() const override { return "naive"; }
  void* allocate(size_t bytes) override {
    void* p = std::aligned_alloc(64, (bytes + 127) / 64 * 64);
    std::memset(p, 0xFF, bytes);  // NaN in every floating dtype: unwritten elements show
    return p;
  }
  void free(void* p) noexcept override { std::free(p); }
  void copy_from_host(void* to, const void* from, size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void copy_to_host(void* to, const void* from, size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void synchronize() override {}
  MemoryStats memory_stats() const override { return {}; }
  void reset_peak() override {}
  void release_cache() override {}

  void fill(double value, View y) override {
    for_each(y.shape, [&](const Dims& at) { store(y, offset_of(y, at), value); });
  }
  void arange(double start, double step, View y) override {
    for (int64_t i = 0; i < y.numel(); ++i) store(y, i, start + static_cast<double>(i) * step);
  }
  void copy(ConstView x, View y) override {
    for_each(y.shape,
             [&](const Dims& at) { store(y, offset_of(y, at), load(x, offset_of(x, at))); });
  }
  void unary(UnaryOp f, ConstView x, View y) override {
    for_each(y.shape, [&](const Dims& at) {
      const double in = load(x, offset_of(x, at));
      double out = 0;
      visit(f, [&](auto functor) { out = functor(in); });
      store(y, offset_of(y, at), out);
    });
  }
  void binary(BinaryOp f, ConstView a, ConstView b, View y) override {
    for_each(y.shape, [&](const Dims& at) {
      const double u = load(a, offset_of(a, at)), v = load(b, offset_of(b, at));
      double out = 0;
      visit(f, [&](auto functor) { out = functor(u, v); });
      store(y, offset_of(y, at), out);
    });
  }
  void compare(CompareOp f, ConstView a, ConstView b, View y) override {
    for_each(y.shape, [&](const Dims& at) {
      const double u = load(a, offset_of(a, at)), v = load(b, offset_of(b, at));
      const bool out = f == CompareOp::equal        ? u == v
                       : f == CompareOp::not_equal  ? u != v
                       : f == CompareOp::less       ? u < v
                       : f == CompareOp::less_equal ? u <= v
                       : f == CompareOp::greater    ? u > v
                                                    : u >= v;
      store(y, offset_of(y, at), out);
    });
  }
  void where(ConstView condition, ConstView a, ConstView b, View y) override {
    for_each(y.shape, [&](const Dims& at) {
      const bool c = load(condition, offset_of(condition, at)) != 0;
      store(y, offset_of(y, at), c ? load(a, offset_of(a, at)) : load(b, offset_of(b, at)));
    });
  }
  void reduce(ReduceOp f, ConstView x, View y, bool accumulate) override {
    std::vector<double> result(static_cast<size_t>(y.numel()));
    const Strides dense = contiguous_strides(y.shape);
    const double inf = std::numeric_limits<double>::infinity();
    for_each(y.shape, [&](const Dims& at) {
      result[static_cast<size_t>(offset_of(y.shape, dense, at))] =
          f != ReduceOp::sum ? (f == ReduceOp::max ? -inf : inf)
          : accumulate       ? load(y, offset_of(y, at))
                             : 0;
    });
    for_each(x.shape, [&](const Dims& at) {
      double& r = result[static_cast<size_t>(offset_of(y.shape, dense, at))];
      const double e = load(x, offset_of(x, at));
      r = f == ReduceOp::sum ? r + e : f == ReduceOp::max ? Maximum{}(r, e) : Minimum{}(r, e);
    });
    for_each(y.shape, [&](const Dims& at) {
      store(y, offset_of(y, at), result[static_cast<size_t>(offset_of(y.shape, dense, at))]);
    });
  }
  void argmax(ConstView x, int axis, View y) override {
    for_each(y.shape, [&](Dims at) {
      const int64_t to = offset_of(y, at);
      int64_t best = 0;
      double largest = 0;
      for (int64_t i = 0; i < x.shape[axis]; ++i) {
        at[axis] = i;
        const double e = load(x, offset_of(x, at));
        if (i == 0 || e > largest || (std::isnan(e) && !std::isnan(largest))) {
          largest = e;
          best = i;
        }
      }
      store(y, to, static_cast<double>(best));
    });
  }
  void index_select(ConstView x, ConstView index, int axis, View y) override {
    for_each(y.shape, [&](const Dims& at) {
      Dims from = at;
      from[axis] = static_cast<int64_t>(load(index, at[axis] * index.strides[0]));
      store(y, offset_of(y, at), load(x, offset_of(x, from)));
    });
  }
  void index_add(ConstView x, ConstView index, int axis, View y) override {
    for_each(x.shape, [&](const Dims& at) {
      Dims to = at;
      to[axis] = static_cast<int64_t>(load(index, at[axis] * index.strides[0]));
      add_to(y, to, load(x, offset_of(x, at)));
    });
  }
  void gather(ConstView x, ConstView index, int axis, View y) override {
    for_each(y.shape, [&](const Dims& at) {
      Dims from = at;
      from[axis] = static_cast<int64_t>(load(index, offset_of(index, at)));
      store(y, offset_of(y, at), load(x, offset_of(x, from)));
    });
  }
  void scatter_add(ConstView x, ConstView index, int axis, View y) override {
    for_each(x.shape, [&](const Dims& at) {
      Dims to = at;
      to[axis] = static_cast<int64_t>(load(index, offset_of(index, at)));
      add_to(y, to, load(x, offset_of(x, at)));
    });
  }
  void uniform(RandomKey key, View y) override {
    for (int64_t i = 0; i < y.numel(); ++i) store(y, i, uniform_at(key, i));
  }
  void normal(RandomKey key, View y) override {
    RandomStream stream(key);
    for (int64_t i = 0; i < y.numel(); ++i) store(y, i, stream.normal());
  }
  void dropout(RandomKey key, double p, ConstView x, View y) override {
    for (int64_t i = 0; i < y.numel(); ++i) {
      store(y, i, uniform_at(key, i) >= p ? load(x, i) / (1 - p) : 0);
    }
  }
  void products(std::span<const Product> products) override {
    for (const Product& p : products) {
      check_matrix(p.a);
      check_matrix(p.b);
      for_each(p.c.shape, [&](const Dims& at) {
        double total = p.accumulate ? load(p.c, offset_of(p.c, at)) : 0;
        for (int64_t k = 0; k < p.a.shape[1]; ++k) {
          total += load(p.a, at[0] * p.a.strides[0] + k * p.a.strides[1]) *
                   load(p.b, k * p.b.strides[0] + at[1] * p.b.strides[1]);
        }
        if (p.bias) total += load(p.bias, at[1] * p.bias.strides[0]);
        store(p.c, offset_of(p.c, at), total);
      });
      if (!p.sums) continue;
      for (int64_t i = 0; i < p.sums.shape[0]; ++i) {
        const int64_t to = i * p.sums.strides[0];
        double total = p.accumulate_sums ? load(p.sums, to) : 0;
        for (int64_t k = 0; k < p.a.shape[1]; ++k) {
          total += load(p.a, i * p.a.strides[0] + k * p.a.strides[1]);
        }
        store(p.sums, to, total);
      }
    }
  }
  void global_norm(std::span<const ConstView> tensors, View y) override {
    double total = 0;
    for (const ConstView& t : tensors) {
      for_each(t.shape, [&](const Dims& at) { total += std::pow(load(t, offset_of(t, at)), 2); });
    }
    store(y, 0, std::sqrt(total));
  }
  void adamw(std::span<const AdamWTensor> tensors, const AdamWArgs& a) override {
    const double scale = a.grad_scale ? load(a.grad_scale, 0) : 1;
    const double c1 = 1 - std::pow(a.beta1, static_cast<double>(a.step));
    const double c2 = 1 - std::pow(a.beta2, static_cast<double>(a.step));
    for (const AdamWTensor& t : tensors) {
      for (int64_t i = 0; i < t.param.numel(); ++i) {
        const double g = scale == 0 ? 0 : load(t.grad, i) * scale, p = load(t.param, i);
        const double m = a.beta1 * load(t.m, i) + (1 - a.beta1) * g;
        const double v = a.beta2 * load(t.v, i) + (1 - a.beta2) * g * g;
        const double next =
            as_dtype(t.param.dtype,
                     p - t.lr * t.weight_decay * p - t.lr * (m / c1) / (std::sqrt(v / c2) + a.eps));
        store(t.m, i, m);
        store(t.v, i, v);
        store(t.param, i, next);
        if (t.average) {
          store(t.average, i, a.average_decay * load(t.average, i) + (1 - a.average_decay) * next);
        }
      }
    }
  }

 private:
  static void add_to(const View& y, const Dims& at, double x) {
    store(y, offset_of(y, at), load(y, offset_of(y, at)) + x);
  }
  static double uniform_at(RandomKey key, int64_t i) {
    return uniform_from(philox(key.value, static_cast<uint64_t>(i / 4)).word[i % 4]);
  }
  static void check_matrix(const ConstView& m) {
    const bool plain = m.strides[1] == 1 && m.strides[0] >= m.shape[1];
    const bool transposed = m.strides[0] == 1 && m.strides[1] >= m.shape[0];
    check<InternalError>(plain || transposed, "products: {} with strides {} is no matrix", m.shape,
                         m.strides);
  }
};

}  // namespace

Backend& backend(const Device& device) {
  check<DeviceError>(device == kCpu, "device {}: this build has no CUDA backend; use the CPU",
                     device);
  // Never destroyed: tensors in static objects may be freed after everything else.
  static NaiveBackend* const naive = new NaiveBackend;
  return *naive;
}

}  // namespace tessera
