#include "backends/cpu/openblas_core.h"

#include <cmath>
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "backends/cpu/cpu_backend.h"
#include "tests/backends/cpu/host_array.h"

namespace tessera {
namespace {

TEST(OpenblasCore, GivesWayWhereTheProcessorCanDoMore) {
  const CpuFeatures old;
  CpuFeatures avx2, avx512;
  avx2.avx2 = avx512.avx2 = avx512.avx512 = true;
  EXPECT_EQ(better_openblas_core("Prescott", old), "");
  EXPECT_EQ(better_openblas_core("Prescott", avx2), "Haswell");
  EXPECT_EQ(better_openblas_core("Prescott", avx512), "SkylakeX");
  EXPECT_EQ(better_openblas_core("Sandybridge", avx2), "Haswell");
  for (const char* fits : {"Haswell", "Zen", "SkylakeX", "Cooperlake", "Sapphirerapids"}) {
    EXPECT_EQ(better_openblas_core(fits, avx2), "");
    EXPECT_EQ(better_openblas_core(fits, avx512), "");
  }
}

/// The sum of |element| of a product of fixed operands, in f64.
double product_size() {
  HostArray a(DType::f64, {33, 65}), b(DType::f64, {65, 17}), c(DType::f64, {33, 17});
  a.random(1, -1, 1);
  b.random(2, -1, 1);
  const Product p{a.in(), b.in(), c.view(), ConstView{}, false};
  cpu_backend().products({&p, 1});
  double sum = 0;
  for (const double v : c.values()) sum += std::abs(v);
  return sum;
}

TEST(OpenblasCore, OtherKernelsGiveTheSameProducts) {
  start_openblas();
  const std::string core(openblas_core());
  const char* before = std::getenv("OPENBLAS_CORETYPE");
  const std::string variable = before == nullptr ? "" : before;
  const double expected = product_size();
  if (!set_openblas_core("Nehalem")) GTEST_SKIP() << "OpenBLAS was built for one processor";
  EXPECT_EQ(openblas_core(), "Nehalem");
  // Other orders of the same 65 terms, 561 sums; the bound of a reordered sum, far apart from 0.
  EXPECT_NEAR(product_size(), expected, 2 * 65 * epsilon_of(DType::f64) * expected);
  ASSERT_TRUE(set_openblas_core(core));
  EXPECT_EQ(openblas_core(), core);
  EXPECT_EQ(product_size(), expected);
  const char* after = std::getenv("OPENBLAS_CORETYPE");
  EXPECT_EQ(after == nullptr ? "" : std::string(after), variable);
}

}  // namespace
}  // namespace tessera
