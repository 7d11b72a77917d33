#include "beit3/vqkd/quantizer.h"

#include <set>

#include "autograd/autograd.h"
#include "tests/beit3/vqkd/vqkd_testing.h"

namespace tessera::beit3 {
namespace {

/// (B, D, h, w), as the published code has it, to rows.
Tensor rows_of(const Tensor& map) {
  return reshape(permute(map.to(DType::f64), {0, 2, 3, 1}), {-1, map.size(1)});
}

/// Recorded values are rounded to so many digits.
constexpr double kPrinted = 1e-6;

struct Golden {
  Quantizer q{4, 2, {}, {.dtype = DType::f64}};
  Tensor map = from_data(std::vector<double>{2, 0.5, -1, 0.1, 0.2, 3, 0.4, 0.9}, {1, 2, 2, 2});

  Golden() {
    const Tensor codes = from_data(std::vector<double>{1, 0, 0, 1, -1, 0.2, 0.3, -1}, {4, 2});
    copy_into(unit_rows(codes), q.weight);
  }
};

TEST(QuantizerTest, GoldenNumbers) {
  Golden golden;
  const Tensor map = requires_grad(golden.map);
  const Quantized q = golden.q(rows_of(map));
  EXPECT_EQ(q.ids.to_vector<int64_t>(), (std::vector<int64_t>{0, 1, 2, 1}));
  EXPECT_NEAR(q.commitment.item<double>(), 0.01035079, kPrinted);
  const Tensor out = permute(reshape(q.codes, {1, 2, 2, 2}), {0, 3, 1, 2});
  tessera::testing::expect_values(out.detach(), {1, 2, 2, 2},
                                  {1, 0, -0.980581, 0, 0, 1, 0.196116, 1}, kPrinted);
  const Tensor index = reshape(arange(8).to(DType::f64), {1, 2, 2, 2});
  backward(q.commitment + sum(out * index));
  tessera::testing::expect_values(
      map.grad(), {1, 2, 2, 2},
      {-0.198269, 0.066648, 2.192815, 2.454408, 1.982686, -0.011108, 5.482038, -0.272712},
      kPrinted);

  golden.q.update(q.normalised, q.ids, 0.99);
  tessera::testing::expect_values(
      golden.q.weight, {4, 2},
      {1, 0.000995, 0.001375, 0.999999, -0.980222, 0.197902, 0.287348, -0.957826}, kPrinted);
  tessera::testing::expect_values(golden.q.cluster_size, {4}, {0.01, 0.02, 0.01, 0}, 1e-15);
  const Quantized again = golden.q(rows_of(golden.map));
  EXPECT_EQ(again.ids.to_vector<int64_t>(), (std::vector<int64_t>{0, 1, 2, 1}));
  EXPECT_NEAR(again.commitment.item<double>(), 0.01014967, kPrinted);
  golden.q.count(again.ids, 0.99);
  tessera::testing::expect_values(golden.q.cluster_size, {4}, {0.0199, 0.0398, 0.0199, 0}, 1e-15);
}

TEST(QuantizerTest, ACodeThatNobodyUsesStays) {
  Golden golden;
  const Tensor before = clone(golden.q.weight);
  const Quantized q = golden.q(rows_of(golden.map));
  golden.q.update(q.normalised, q.ids, 0.5);
  tessera::testing::expect_close(slice(golden.q.weight, 0, 3, 4), slice(before, 0, 3, 4), 1e-15);
}

TEST(QuantizerTest, ARowOfZerosHasNoDirectionAndNoDerivative) {
  const Tensor z = requires_grad(zeros({2, 3}, {.dtype = DType::f64}));
  const Tensor unit = unit_rows(z);
  tessera::testing::expect_values(unit.detach(), {2, 3}, {0, 0, 0, 0, 0, 0});
  backward(sum(unit));
  for (double g : z.grad().to_vector<double>()) EXPECT_TRUE(std::isfinite(g));
}

TEST(QuantizerTest, StartIsAFunctionOfTheKey) {
  const Tensor rows = unit_rows(tessera::testing::random({100, 4}, 1, DType::f32));
  Quantizer a(16, 4, RandomKey{1}), b(16, 4, RandomKey{2}), c(16, 4, RandomKey{2});
  a.start(rows, RandomKey{5});
  b.start(rows, RandomKey{5});
  c.start(rows, RandomKey{6});
  EXPECT_EQ(a.weight.to_vector<float>(), b.weight.to_vector<float>());
  EXPECT_NE(a.weight.to_vector<float>(), c.weight.to_vector<float>());
  EXPECT_EQ(sum(a.first_counts).item<double>(), 100);
  // Fewer rows than codes: repetitions.
  a.start(slice(rows, 0, 0, 3), RandomKey{5});
  EXPECT_EQ(sum(a.first_counts).item<double>(), 3);
}

TEST(QuantizerTest, RevivesWithDifferentRowsWhereTheErrorIs) {
  Quantizer q(4, 2, {}, {.dtype = DType::f64});
  copy_into(unit_rows(from_data(std::vector<double>{1, 0, 1, 0.1, 1, 0.2, 1, 0.3}, {4, 2})),
            q.weight);
  const Tensor rows =
      unit_rows(from_data(std::vector<double>{1, 0, 1, 0, 0, 1, -1, 0, 1, 0, 1, 0}, {6, 2}));
  const Quantized batch = q(rows);
  const std::vector<int64_t> revived = q.revive({3, 2, 1}, batch, RandomKey{3});
  // Only two rows differ from their code.
  EXPECT_EQ(revived, (std::vector<int64_t>{3, 2}));
  std::set<std::pair<double, double>> now;
  const std::vector<double> w = q.weight.to_vector<double>();
  now.insert({w[4], w[5]});
  now.insert({w[6], w[7]});
  EXPECT_EQ(now, (std::set<std::pair<double, double>>{{0, 1}, {-1, 0}}));
  EXPECT_EQ(w[0], 1);
  EXPECT_THROW(q.revive({4}, q(rows), RandomKey{3}, ones({6}, {.dtype = DType::f64})), IndexError);
}

TEST(QuantizerTest, LongInputsAreLookedUpByBlocks) {
  // 5,000 rows x 2,000 codes do not fit into one block.
  const Quantizer q(2000, 8, RandomKey{1});
  const Tensor rows = unit_rows(tessera::testing::random({5000, 8}, 2, DType::f32));
  const std::vector<int64_t> all = q.nearest(rows).to_vector<int64_t>();
  ASSERT_EQ(all.size(), 5000u);
  for (int64_t i : {0, 2096, 2097, 2098, 4999}) {
    const Tensor one = matmul(slice(rows, 0, i, i + 1), q.weight, {.transpose_b = true});
    EXPECT_EQ(all[static_cast<size_t>(i)], argmax(one, 1).item<int64_t>()) << i;
  }
}

}  // namespace
}  // namespace tessera::beit3
