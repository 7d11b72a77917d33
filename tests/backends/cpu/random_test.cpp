#include <gtest/gtest.h>

#include "backends/cpu/cpu_backend.h"
#include "tests/backends/cpu/host_array.h"

namespace tessera {
namespace {

uint32_t word_of(RandomKey key, int64_t i) {
  return philox(key.value, static_cast<uint64_t>(i / 4)).word[i % 4];
}

TEST(Random, UniformIsTheDocumentedWord) {
  for (int64_t n : {0, 1, 3, 4, 63, 64, 65, 511, 513, 8191, 8192, 20001}) {
    for (RandomKey key : {RandomKey{0}, RandomKey{0xFFFFFFFFFFFFFFFFull}, RandomKey{1}.fold(7)}) {
      HostArray f(DType::f32, {n}), d(DType::f64, {n});
      f.arm();
      cpu_backend().uniform(key, f.view());
      cpu_backend().uniform(key, d.view());
      for (int64_t i = 0; i < n; ++i) {
        const double expected = static_cast<double>(uniform_from(word_of(key, i)));
        ASSERT_EQ(f.get(i), expected) << i;
        ASSERT_EQ(d.get(i), expected) << i;
      }
      ASSERT_TRUE(f.untouched_outside());
    }
  }
}

TEST(Random, NormalIsBoxMullerOfTheDocumentedWords) {
  for (int64_t n : {1, 2, 5, 63, 64, 20003}) {
    const RandomKey key{42};
    HostArray f(DType::f32, {n}), d(DType::f64, {n});
    f.arm();
    cpu_backend().normal(key, f.view());
    cpu_backend().normal(key, d.view());
    for (int64_t i = 0; i < n; ++i) {
      const double u = (word_of(key, i & ~int64_t{1}) + 0.5) * 0x1p-32;
      const double angle = 6.283185307179586 * (word_of(key, i | 1) * 0x1p-32);
      const double radius = std::sqrt(-2 * std::log(u));
      const double expected = radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
      ASSERT_TRUE(close(d.get(i), expected, 1e-14)) << i;
      ASSERT_TRUE(close(f.get(i), expected, 4 * epsilon_of(DType::f32) * radius)) << i;
    }
    ASSERT_TRUE(f.untouched_outside());
  }
}

TEST(Random, NormalHasTheMomentsOfANormal) {
  const int64_t n = 1 << 20;
  HostArray x(DType::f32, {n});
  cpu_backend().normal({5}, x.view());
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
  for (const float* p = x.view().as<float>(); p != x.view().as<float>() + n; ++p) {
    const double v = *p;
    m1 += v;
    m2 += v * v;
    m3 += v * v * v;
    m4 += v * v * v * v;
  }
  // Five standard deviations of each mean: sqrt(1, 2, 15, 96 / n).
  const double root = std::sqrt(static_cast<double>(n)), count = static_cast<double>(n);
  EXPECT_NEAR(m1 / count, 0, 5 * std::sqrt(1.0) / root);
  EXPECT_NEAR(m2 / count, 1, 5 * std::sqrt(2.0) / root);
  EXPECT_NEAR(m3 / count, 0, 5 * std::sqrt(15.0) / root);
  EXPECT_NEAR(m4 / count, 3, 5 * std::sqrt(96.0) / root);
}

TEST(Random, DropoutKeepsWhatUniformSays) {
  const RandomKey key{77};
  for (DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    for (double p : {0.0, 0.1, 0.5, 0.9}) {
      const int64_t n = 10007;
      HostArray x(dtype, {n}), y(dtype, {n});
      x.random(3);
      y.arm();
      cpu_backend().dropout(key, p, x.in(), y.view());
      for (int64_t i = 0; i < n; ++i) {
        const bool kept = uniform_from(word_of(key, i)) >= static_cast<float>(p);
        const double expected = kept ? x.get(i) / (1 - p) : 0;
        ASSERT_TRUE(close(y.get(i), expected, 2 * epsilon_of(dtype) * std::abs(expected)));
      }
      ASSERT_TRUE(y.untouched_outside());
      cpu_backend().dropout(key, p, x.in(), x.view());  // in place
      ASSERT_EQ(x.bytes(), y.bytes());
    }
  }
}

}  // namespace
}  // namespace tessera
