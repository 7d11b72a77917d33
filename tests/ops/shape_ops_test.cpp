#include "tensor/ops/shape_ops.h"

#include "tests/ops/all_cases.h"
#include "tests/testing/op_test.h"
#include "tests/testing/tensors.h"

namespace tessera::testing {
namespace {

using At = std::vector<int64_t>;

/// y[at] = x[where(at)]
CaseFunction picked(const Shape& shape, std::function<At(const At&)> where) {
  return [=](const Tensors& in) {
    return by_position(shape, [&](const At& at) { return element(in[0], where(at)); });
  };
}

/// The elements of x in their order, as another shape.
CaseFunction refilled(const Shape& shape) {
  return [=](const Tensors& in) { return from_data(in[0].to_vector<double>(), shape); };
}

}  // namespace

std::vector<OpCase> shape_ops_cases() {
  const Tensor x = random({3, 4, 5}, 11);
  const Slice cut(1, 1, 7, 2, {3, 8, 5});
  return {
      {.name = "reshape",
       .inputs = {x},
       .run =
           [](const Tensors& in) {
             return reshape(in[0], {6, -1});
           },
       .expected = refilled({6, 10})},
      {.name = "reshape_to_rank_five",
       .inputs = {x},
       .run =
           [](const Tensors& in) {
             return reshape(in[0], {3, 2, 2, 1, 5});
           },
       .expected = refilled({3, 2, 2, 1, 5})},
      {.name = "permute",
       .inputs = {x},
       .run =
           [](const Tensors& in) {
             return permute(in[0], {2, 0, 1});
           },
       .expected = picked({5, 3, 4},
                          [](const At& at) {
                            return At{at[1], at[2], at[0]};
                          })},
      {.name = "transpose",
       .inputs = {x},
       .run = [](const Tensors& in) { return transpose(in[0]); },
       .expected = picked({3, 5, 4},
                          [](const At& at) {
                            return At{at[0], at[2], at[1]};
                          })},
      {.name = "expand",
       .inputs = {random({4, 1}, 12)},
       .run =
           [](const Tensors& in) {
             return expand(in[0], {2, 4, 3});
           },
       .expected = picked({2, 4, 3},
                          [](const At& at) {
                            return At{at[1], 0};
                          }),
       .length = 6},
      {.name = "slice",
       .inputs = {x},
       .run = [](const Tensors& in) { return slice(in[0], 1, 1, 4, 2); },
       .expected = picked({3, 2, 5},
                          [](const At& at) {
                            return At{at[0], 1 + 2 * at[1], at[2]};
                          })},
      {.name = "empty_slice",
       .inputs = {x},
       .run =
           [](const Tensors& in) {
             return concat({slice(in[0], 0, 2, 2), in[0]});
           },
       .expected = refilled({3, 4, 5})},
      {.name = "unslice",
       .inputs = {random({3, 3, 5}, 13)},
       .run = [cut](const Tensors& in) { return unslice(in[0], cut); },
       .expected =
           [cut](const Tensors& in) {
             return by_position(cut.from, [&](const At& at) {
               const bool inside = at[1] >= 1 && at[1] < 7 && at[1] % 2 == 1;
               return inside ? element(in[0], {at[0], at[1] / 2, at[2]}) : 0;
             });
           }},
      {.name = "select",
       .inputs = {x},
       .run = [](const Tensors& in) { return select(in[0], 1, -1); },
       .expected = picked({3, 5},
                          [](const At& at) {
                            return At{at[0], 3, at[1]};
                          })},
      {.name = "squeeze_and_unsqueeze",
       .inputs = {x},
       .run = [](const Tensors& in) { return squeeze(unsqueeze(unsqueeze(in[0], 1), -1), 1); },
       .expected = refilled({3, 4, 5, 1})},
      {.name = "concat",
       .inputs = {x, random({3, 1, 5}, 14), random({3, 2, 5}, 15)},
       .run = [](const Tensors& in) { return concat(in, 1); },
       .expected =
           [](const Tensors& in) {
             return by_position({3, 7, 5}, [&](const At& at) {
               const size_t part = at[1] < 4 ? 0 : at[1] < 5 ? 1 : 2;
               const int64_t begin = part == 0 ? 0 : part == 1 ? 4 : 5;
               return element(in[part], {at[0], at[1] - begin, at[2]});
             });
           }},
      {.name = "concat_of_nothing_and_something",
       .inputs = {x, random({3, 4, 5}, 14)},
       .run =
           [](const Tensors& in) {
             return concat({in[0], slice(in[1], 0, 0, 0), in[1]});
           },
       .expected =
           [](const Tensors& in) {
             return by_position({6, 4, 5}, [&](const At& at) {
               return element(in[at[0] < 3 ? 0 : 1], {at[0] % 3, at[1], at[2]});
             });
           }},
      {.name = "stack",
       .inputs = {random({3, 2}, 16), random({3, 2}, 17)},
       .run = [](const Tensors& in) { return stack(in, 1); },
       .expected =
           [](const Tensors& in) {
             return by_position({3, 2, 2}, [&](const At& at) {
               return element(in[static_cast<size_t>(at[1])], {at[0], at[2]});
             });
           }},
      {.name = "split",
       .inputs = {x},
       .run =
           [](const Tensors& in) {
             return split(in[0], std::vector<int64_t>{1, 3}, 1);
           },
       .expected = [](const Tensors& in) -> Tensors {
         auto part = [&](int64_t begin, int64_t size) {
           return by_position({3, size, 5}, [&](const At& at) {
             return element(in[0], {at[0], begin + at[1], at[2]});
           });
         };
         return {part(0, 1), part(1, 3)};
       }},
  };
}

INSTANTIATE_TEST_SUITE_P(ShapeOps, OpTest, ::testing::ValuesIn(shape_ops_cases()), case_name);

}  // namespace tessera::testing
