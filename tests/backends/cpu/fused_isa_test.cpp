#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_features.h"
#include "tensor/base/parallel.h"

/// Fused kernels give the same bits on every instruction set that this machine has, and with any
/// number of threads. (What the values are is tested with the ops.)
namespace tessera {
namespace {

template <class T>
struct Array {
  std::vector<T> values;
  Shape shape;

  explicit Array(Shape s) : values(static_cast<size_t>(numel(s)), T(0)), shape(s) {}
  View view() { return {values.data(), dtype_of<T>, shape, contiguous_strides(shape)}; }
};

/// Between -2 and 2, the same every time.
template <class T>
Array<T> numbers(Shape shape, uint32_t seed) {
  Array<T> a(shape);
  for (T& v : a.values) {
    seed = seed * 1664525u + 1013904223u;
    v = static_cast<T>((seed >> 8) * (4.0 / 16777216.0) - 2.0);
  }
  return a;
}

template <class T>
using Outputs = std::vector<Array<T>>;

/// Runs `f`, which fills new outputs, on every set with 1 and 3 threads, and compares the bytes.
template <class T>
void expect_same_bits(const std::function<Outputs<T>()>& f) {
  const Isa isa_before = active_isa();
  const int threads_before = thread_count();
  set_isa(Isa::portable);
  set_thread_count(1);
  const Outputs<T> expected = f();
  for (int set = 0; set <= static_cast<int>(best_isa()); ++set) {
    for (int threads : {1, 3}) {
      set_isa(static_cast<Isa>(set));
      set_thread_count(threads);
      const Outputs<T> got = f();
      ASSERT_EQ(got.size(), expected.size());
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(std::memcmp(got[i].values.data(), expected[i].values.data(),
                              got[i].values.size() * sizeof(T)),
                  0)
            << "output " << i << " on " << to_string(active_isa()) << " with " << threads
            << " threads";
      }
    }
  }
  set_isa(isa_before);
  set_thread_count(threads_before);
}

template <class T>
class FusedIsa : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(FusedIsa, Types);

constexpr int64_t kWidths[] = {1, 3, 7, 15, 16, 17, 33, 96};

TYPED_TEST(FusedIsa, Softmax) {
  using T = TypeParam;
  for (int64_t cols : kWidths) {
    expect_same_bits<T>([&] {
      Array<T> x = numbers<T>({37, cols}, 1), g = numbers<T>({37, cols}, 2);
      Outputs<T> out(2, Array<T>({37, cols}));
      EXPECT_TRUE(cpu_backend().try_softmax(x.view(), out[0].view()));
      EXPECT_TRUE(cpu_backend().try_softmax_backward(g.view(), out[0].view(), out[1].view()));
      return out;
    });
  }
}

TYPED_TEST(FusedIsa, GeluBackward) {
  using T = TypeParam;
  for (int64_t cols : kWidths) {
    expect_same_bits<T>([&] {
      Array<T> x = numbers<T>({37, cols}, 1), g = numbers<T>({37, cols}, 2);
      Outputs<T> out(1, Array<T>({37, cols}));
      EXPECT_TRUE(cpu_backend().try_gelu_backward(g.view(), x.view(), out[0].view()));
      return out;
    });
  }
}

TYPED_TEST(FusedIsa, LayerNorms) {
  using T = TypeParam;
  constexpr int64_t kNumRows = 501;
  for (int64_t cols : kWidths) {
    for (bool gelu : {false, true}) {
      expect_same_bits<T>([&] {
        CpuBackend& b = cpu_backend();
        Array<T> x = numbers<T>({kNumRows, cols}, 1), g = numbers<T>({kNumRows, cols}, 2);
        Array<T> gamma = numbers<T>({2, cols}, 3), beta = numbers<T>({2, cols}, 4);
        const auto row = [&](Array<T>& a, int64_t i) {
          return View{a.values.data() + i * cols, dtype_of<T>, {cols}, {1}};
        };
        const NormGroup groups[] = {{130, row(gamma, 0), row(beta, 0)},
                                    {130, row(gamma, 1), row(beta, 1)},  // empty
                                    {kNumRows, row(gamma, 1), row(beta, 1)}};
        Outputs<T> out = {Array<T>({kNumRows, cols}), Array<T>({kNumRows}), Array<T>({kNumRows}),
                          Array<T>({kNumRows, cols}), Array<T>({3, cols}),  Array<T>({3, cols})};
        NormGroupGrad grads[3];
        for (int i = 0; i < 3; ++i) {
          grads[i].dgamma = row(out[4], i);
          grads[i].dbeta = row(out[5], i);
        }
        const View y = out[0].view(), mean = out[1].view(), rstd = out[2].view();
        if (gelu) {
          EXPECT_TRUE(b.try_gelu_layer_norm(x.view(), groups, 1e-5, y, mean, rstd));
          EXPECT_TRUE(b.try_gelu_layer_norm_backward(g.view(), x.view(), groups, mean, rstd,
                                                     out[3].view(), grads));
        } else {
          Array<T> scale = numbers<T>({kNumRows}, 5);
          EXPECT_TRUE(b.try_add_layer_norm(x.view(), g.view(), scale.view(), groups, 1e-5, x.view(),
                                           y, mean, rstd));
          EXPECT_TRUE(b.try_layer_norm(x.view(), groups, 1e-5, y, mean, rstd));
          EXPECT_TRUE(b.try_layer_norm_backward(g.view(), x.view(), groups, mean, rstd,
                                                /*residual=*/g.view(), out[3].view(), grads));
        }
        return out;
      });
    }
  }
}

TYPED_TEST(FusedIsa, Attention) {
  using T = TypeParam;
  const Segment segments[] = {{0, 1, 0, 0},        {1, 8, 40, 49}, {8, 8, 49, 82},
                              {8, 40, 0, 0},       {82, 99, 0, 0}, {99, 164, 0, 0, 5},
                              {164, 164, 164, 164}};
  constexpr int64_t kHeads = 2, kNumRows = 164;
  for (int64_t dim : {1, 7, 16, 24, 33, 64}) {
    for (AttentionRule rule : {AttentionRule::full, AttentionRule::prefix}) {
      expect_same_bits<T>([&] {
        const AttentionArgs args{segments, rule, 1 / std::sqrt(static_cast<double>(dim))};
        Array<T> qkv = numbers<T>({kNumRows, 3, kHeads, dim}, 1);
        Array<T> g = numbers<T>({kNumRows, kHeads, dim}, 2);
        Outputs<T> out = {Array<T>({kNumRows, kHeads, dim}), Array<T>({kNumRows, kHeads}),
                          Array<T>({kNumRows, 3, kHeads, dim})};
        EXPECT_TRUE(
            cpu_backend().try_segmented_attention(qkv.view(), args, out[0].view(), out[1].view()));
        EXPECT_TRUE(cpu_backend().try_segmented_attention_backward(
            g.view(), qkv.view(), out[0].view(), out[1].view(), args, out[2].view()));
        return out;
      });
    }
  }
}

TYPED_TEST(FusedIsa, CrossEntropy) {
  using T = TypeParam;
  for (int64_t classes : kWidths) {
    for (double smoothing : {0.0, 0.1}) {
      expect_same_bits<T>([&] {
        const CrossEntropyArgs args{.ignore_index = -100, .smoothing = smoothing};
        Array<T> logits = numbers<T>({41, classes}, 1), g = numbers<T>({41}, 2);
        Array<int64_t> labels({41}), best({41});
        for (size_t i = 0; i < 41; ++i) {
          labels.values[i] = i % 5 == 4 ? -100 : static_cast<int64_t>(i) % classes;
        }
        Outputs<T> out = {Array<T>({41}), Array<T>({41}), Array<T>({41, classes}), Array<T>({41})};
        EXPECT_TRUE(cpu_backend().try_cross_entropy(logits.view(), labels.view(), args,
                                                    out[0].view(), out[1].view(), best.view()));
        EXPECT_TRUE(cpu_backend().try_cross_entropy_backward(g.view(), logits.view(), labels.view(),
                                                             out[1].view(), args, out[2].view()));
        for (size_t i = 0; i < 41; ++i) out[3].values[i] = static_cast<T>(best.values[i]);
        return out;
      });
    }
  }
}

}  // namespace
}  // namespace tessera
