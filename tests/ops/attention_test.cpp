#include "tensor/ops/attention.h"

#include "tests/ops/all_cases.h"
#include "tests/testing/op_test.h"
#include "tests/testing/tensors.h"

namespace tessera::testing {
namespace {

OpCase attention(const char* name, const Segments& segments, AttentionRule rule, double scale,
                 int64_t heads = 2, int64_t width = 3) {
  return {
      .name = name,
      .inputs = {random({segments.rows(), 3, heads, width}, 101)},
      .run = [=](const Tensors& in) { return segmented_attention(in[0], segments, rule, scale); },
      .expected =
          [=](const Tensors& in) {
            return composed::segmented_attention(in[0], segments, rule, scale);
          },
      .composed = true,
      .length = 40};
}

}  // namespace

std::vector<OpCase> attention_cases() {
  // Two sequences of rows in two ranges each, of different lengths, the second without an end.
  const Segments packed({{0, 2, 5, 8}, {2, 5, 0, 0}}, 8);
  return {
      attention("one_sequence", Segments::uniform(1, 4), AttentionRule::full, 0),
      attention("uniform", Segments::uniform(2, 3), AttentionRule::full, 0.7),
      attention("packed", packed, AttentionRule::full, 0),
      attention("prefix", packed, AttentionRule::prefix, 0),
      attention("sequences_of_one", Segments::uniform(3, 1), AttentionRule::full, 0),
      attention("wide_head", Segments::uniform(1, 3), AttentionRule::full, 0, 1, 17),
  };
}

INSTANTIATE_TEST_SUITE_P(Attention, OpTest, ::testing::ValuesIn(attention_cases()), case_name);

}  // namespace tessera::testing
