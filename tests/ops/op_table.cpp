#include "tests/ops/op_table.h"

#include <iostream>
#include <map>

#include "tests/testing/op_test.h"

namespace tessera::testing {
namespace {

std::vector<OpEntry> collected() {
  std::map<std::string, OpEntry> entries;
  for (auto samples : {attention_cases, cast_cases, cross_entropy_cases, dropout_cases,
                       elementwise_cases, gelu_layer_norm_cases, index_cases, layer_norm_cases,
                       matmul_cases, reduce_cases, shape_ops_cases, softmax_cases}) {
    for (OpCase& c : samples()) entries[c.op].samples.push_back(std::move(c));
  }
  for (auto rejections : {rejected_elementwise, rejected_shapes, rejected_indices, rejected_updates,
                          rejected_fused}) {
    for (Rejection& r : rejections()) entries[r.op].rejected.push_back(std::move(r));
  }
  std::vector<OpEntry> all;
  for (auto& [name, entry] : entries) {
    entry.name = name;
    all.push_back(std::move(entry));
  }
  return all;
}

std::string entry_name(const ::testing::TestParamInfo<OpEntry>& info) { return info.param.name; }

}  // namespace

const std::vector<OpEntry>& op_table() {
  static const std::vector<OpEntry> table = collected();
  return table;
}

INSTANTIATE_TEST_SUITE_P(Ops, OpTest, ::testing::ValuesIn(op_table()), entry_name);

/// What the table generates must not shrink unnoticed. The tests loop over these very lists.
TEST(OpTable, GeneratesSoManyCases) {
  size_t samples = 0, forward = 0, first = 0, second = 0, composed = 0, rejected = 0;
  for (const OpEntry& entry : op_table()) {
    samples += entry.samples.size();
    forward += forward_cases(entry).size();
    first += gradient_cases(entry).size();
    for (const GeneratedCase& g : higher_cases(entry)) {
      ++second;
      composed += g.sample->composed ? 3 : 0;
    }
    rejected += entry.rejected.size();
  }
  std::cout << "ops " << op_table().size() << ", samples " << samples << ", forward parity "
            << forward << ", first derivatives " << first << ", second derivatives " << second
            << ", fused against composed " << composed << ", rejected calls " << rejected << '\n';
  EXPECT_GE(forward, 25'000u);
  EXPECT_GE(first, 10'000u);
  EXPECT_GE(second, 2'500u);
  EXPECT_GE(composed, 900u);
  EXPECT_GE(rejected, 400u);
}

}  // namespace tessera::testing
