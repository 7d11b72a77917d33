#include "tensor/ops/index.h"

#include "autograd/autograd.h"
#include "tests/ops/all_cases.h"
#include "tests/testing/op_test.h"
#include "tests/testing/tensors.h"

namespace tessera::testing {
namespace {

using At = std::vector<int64_t>;

/// Adds x's elements to where `place` says.
CaseFunction scattered(const Shape& shape, std::function<At(const At&)> place) {
  return [=](const Tensors& in) {
    std::vector<double> y(static_cast<size_t>(numel(shape)));
    const Strides strides = contiguous_strides(shape);
    for (const At& at : positions(in[0].shape())) {
      const At to = place(at);
      int64_t offset = 0;
      for (int i = 0; i < shape.rank(); ++i) offset += to[static_cast<size_t>(i)] * strides[i];
      y[static_cast<size_t>(offset)] += element(in[0], at);
    }
    return from_data(y, shape);
  };
}

}  // namespace

std::vector<OpCase> index_cases() {
  const std::vector<int64_t> list{2, 0, 2, 3};
  const Tensor index = from_data(list, {4});
  const Tensor square_index = from_data(list, {2, 2});
  const Tensor table = random({4, 5}, 21);
  const std::vector<int64_t> wide{1, 0, 2, 1, 1, 3};
  const Tensor across = from_data(wide, {3, 2});  // along axis 1
  auto listed = [list](int64_t i) { return list[static_cast<size_t>(i)]; };
  auto crossed = [wide](const At& at) { return wide[static_cast<size_t>(at[0] * 2 + at[1])]; };
  auto looked_up = [listed](const Tensors& in) {
    return by_position({4, 5}, [&](const At& at) {
      return element(in[0], {listed(at[0]), at[1]});
    });
  };
  return {
      {.name = "index_select_rows",
       .inputs = {table},
       .run = [index](const Tensors& in) { return index_select(in[0], index); },
       .expected = looked_up,
       .length = 2},
      {.name = "index_select_columns",
       .inputs = {random({3, 4, 2}, 22)},
       .run = [index](const Tensors& in) { return index_select(in[0], index, 1); },
       .expected =
           [listed](const Tensors& in) {
             return by_position({3, 4, 2}, [&](const At& at) {
               return element(in[0], {at[0], listed(at[1]), at[2]});
             });
           },
       .length = 2},
      {.name = "index_select_of_nothing",
       .inputs = {table},
       .run =
           [](const Tensors& in) {
             return concat({index_select(in[0], zeros({0}, {DType::i64})), in[0]});
           },
       .expected =
           [](const Tensors& in) {
             return from_data(in[0].to_vector<double>(), {4, 5});
           }},
      {.name = "embedding",
       .inputs = {table},
       .run = [square_index](const Tensors& in) { return embedding(in[0], square_index); },
       .expected =
           [looked_up](const Tensors& in) {
             return reshape(looked_up(in), {2, 2, 5});
           },
       .length = 2},
      {.name = "index_sum",
       .inputs = {random({4, 3}, 23)},
       .run =
           [index](const Tensors& in) {
             return index_sum(in[0], index, {5, 3});
           },
       .expected = scattered({5, 3},
                             [listed](const At& at) {
                               return At{listed(at[0]), at[1]};
                             }),
       .length = 2},
      {.name = "index_sum_columns",
       .inputs = {random({3, 4}, 24)},
       .run =
           [index](const Tensors& in) {
             return index_sum(in[0], index, {3, 4}, 1);
           },
       .expected = scattered({3, 4},
                             [listed](const At& at) {
                               return At{at[0], listed(at[1])};
                             }),
       .length = 2},
      {.name = "gather",
       .inputs = {random({3, 4}, 25)},
       .run = [across](const Tensors& in) { return gather(in[0], across, 1); },
       .expected =
           [crossed](const Tensors& in) {
             return by_position({3, 2}, [&](const At& at) {
               return element(in[0], {at[0], crossed(at)});
             });
           },
       .length = 2},
      {.name = "scatter_sum",
       .inputs = {random({3, 2}, 26)},
       .run =
           [across](const Tensors& in) {
             return scatter_sum(in[0], across, {3, 5}, 1);
           },
       .expected = scattered({3, 5},
                             [crossed](const At& at) {
                               return At{at[0], crossed(at)};
                             }),
       .length = 2},
  };
}

INSTANTIATE_TEST_SUITE_P(Index, OpTest, ::testing::ValuesIn(index_cases()), case_name);

TEST(Index, TheGradientOfATableAccumulatesInPlace) {
  const Tensor table = requires_grad(random({6, 3}, 1, DType::f32));
  const Tensor first = from_data(std::vector<int64_t>{4, 0, 4}, {3});
  backward(sum(embedding(table, first)));
  const void* memory = table.grad().view().data;
  backward(sum(embedding(table, from_data(std::vector<int64_t>{1, 0}, {2}))));
  EXPECT_EQ(memory, table.grad().view().data);
  std::vector<double> counts;
  for (double n : {2, 1, 0, 0, 2, 0}) counts.insert(counts.end(), 3, n);
  expect_values(table.grad(), {6, 3}, counts);
}

}  // namespace tessera::testing
