#include "tensor/ops/attention.h"

#include "tests/ops/op_table.h"
#include "tests/testing/reference.h"

namespace tessera::testing {
namespace {

OpCase attention(const char* name, const Segments& segments, AttentionRule rule, double scale,
                 int64_t heads = 2, int64_t width = 3) {
  auto with = [=](auto f) {
    return [=](const Tensors& in) { return f(in[0], segments, rule, scale); };
  };
  return {.op = "segmented_attention",
          .name = name,
          .inputs = {random({segments.rows(), 3, heads, width}, 101)},
          .run = with(segmented_attention),
          .reference = with(reference::attention),
          .composed = with(composed::segmented_attention),
          .length = 40};
}

}  // namespace

std::vector<OpCase> attention_cases() {
  // Two sequences of rows in two ranges each, of different lengths, the second without an end.
  const Segments packed({{0, 2, 5, 8}, {2, 5, 0, 0}}, 8);
  const Segments with_unseen({{0, 2, 5, 8, 1}, {2, 5, 0, 0, 2}}, 8);
  constexpr AttentionRule full = AttentionRule::full, prefix = AttentionRule::prefix;
  return {
      attention("one sequence", Segments::uniform(1, 4), full, 0),
      attention("uniform", Segments::uniform(2, 3), full, 0.7),
      attention("packed", packed, full, 0),
      attention("prefix", packed, prefix, 0),
      attention("unseen rows", with_unseen, full, 0),
      attention("sequences of one", Segments::uniform(3, 1), full, 0),
      attention("wide head", Segments::uniform(1, 3), full, 0, 1, 17),
      attention("long sequence", Segments::uniform(1, 21), full, 0, 1, 4),
      attention("long prefix", Segments({{0, 7, 7, 20}}, 20), prefix, 0.5, 1, 4),
      attention("nothing", Segments::uniform(0, 3), full, 0),
  };
}

}  // namespace tessera::testing
