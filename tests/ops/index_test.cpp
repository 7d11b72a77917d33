#include "tensor/ops/index.h"

#include "autograd/autograd.h"
#include "backends/registry.h"
#include "tensor/ops/cross_entropy.h"
#include "tests/ops/op_table.h"
#include "tests/testing/errors.h"
#include "tests/testing/reference.h"

namespace tessera::testing {
namespace {

using At = Grid::At;
using Indices = std::vector<int64_t>;

Tensor index_of(const Indices& list) {
  return from_data(list, {static_cast<int64_t>(list.size())});
}

OpCase selected(const Shape& from, int axis, const Indices& list) {
  Shape to = from;
  to[axis] = static_cast<int64_t>(list.size());
  return {.op = "index_select",
          .name = format("{} of {} on axis {}", list.size(), from, axis),
          .inputs = {random(from, 21)},
          .run = [=, index = index_of(list)](
                     const Tensors& in) { return index_select(in[0], index, axis); },
          .reference =
              [=](const Tensors& in) {
                return Grid::of(to, [&](At at) {
                  int64_t& i = at[static_cast<size_t>(axis)];
                  i = list[static_cast<size_t>(i)];
                  return Rounded(element(in[0], at));
                });
              },
          .dtypes = kArithmetic};
}

/// Row-major sums of what `place` sends to each position of `shape`.
Reference scattered(const Shape& shape, std::function<At(const At&)> place) {
  return [=](const Tensors& in) {
    std::vector<reference::Row> met(static_cast<size_t>(numel(shape)));
    const Strides strides = contiguous_strides(shape);
    for (const At& at : positions(in[0].shape())) {
      const At to = place(at);
      int64_t offset = 0;
      for (int i = 0; i < shape.rank(); ++i) offset += to[static_cast<size_t>(i)] * strides[i];
      met[static_cast<size_t>(offset)].emplace_back(element(in[0], at));
    }
    Grid y{shape, {}};
    for (const reference::Row& row : met) y.elements.push_back(total(row));
    return y;
  };
}

OpCase summed(const Shape& from, const Shape& to, int axis, const Indices& list) {
  return {.op = "index_sum",
          .name = format("{} into {} on axis {}", from, to, axis),
          .inputs = {random(from, 22)},
          .run = [=, index = index_of(list)](
                     const Tensors& in) { return index_sum(in[0], index, to, axis); },
          .reference = scattered(to,
                                 [=](At at) {
                                   int64_t& i = at[static_cast<size_t>(axis)];
                                   i = list[static_cast<size_t>(i)];
                                   return at;
                                 }),
          .dtypes = {DType::f64, DType::f32}};
}

/// The place on axis 1 that a (3, 2) index says for `at`.
At across(const Indices& list, At at) {
  at[1] = list[static_cast<size_t>(at[0] * 2 + at[1])];
  return at;
}

}  // namespace

std::vector<OpCase> index_cases() {
  const Indices list{2, 0, 2, 3}, wide{1, 0, 2, 1, 1, 3};
  const Tensor square_index = from_data(list, {2, 2}), crossing = from_data(wide, {3, 2});
  // The same index in other memory.
  const Tensor laid = transpose(transpose(crossing).contiguous());
  std::vector<OpCase> all{
      selected({4, 5}, 0, list),
      selected({3, 4, 2}, 1, list),
      selected({4}, 0, list),
      selected({2, 20}, 1, {19, 0, 7}),
      selected({4, 5}, 0, {}),
      selected({4, 33}, 0, {1, 1, 1}),
      summed({4, 3}, {5, 3}, 0, list),
      summed({3, 4}, {3, 4}, 1, list),
      summed({4}, {4}, 0, list),
      summed({3, 17}, {2, 17}, 0, {1, 1, 1}),
      summed({0, 3}, {5, 3}, 0, {}),
      {.op = "embedding",
       .name = "(2, 2) of (4, 5)",
       .inputs = {random({4, 5}, 23)},
       .run = [square_index](const Tensors& in) { return embedding(in[0], square_index); },
       .reference =
           [list](const Tensors& in) {
             return Grid::of({2, 2, 5}, [&](const At& at) {
               return Rounded(
                   element(in[0], {list[static_cast<size_t>(at[0] * 2 + at[1])], at[2]}));
             });
           },
       .dtypes = kArithmetic},
      {.op = "one_hot",
       .name = "(4) of 5",
       .inputs = {},
       .run = [index = index_of(list)](const Tensors&) { return one_hot(index, 5); },
       .reference =
           [list](const Tensors&) {
             return Grid::of({4, 5}, [&](const At& at) {
               return Rounded(list[static_cast<size_t>(at[0])] == at[1] ? 1 : 0);
             });
           },
       .dtypes = {DType::f32},
       .differentiable = false},
  };
  for (const Tensor& index : {crossing, laid}) {
    const char* memory = index.is_contiguous() ? "" : ", index transposed";
    all.push_back({.op = "gather",
                   .name = format("(3, 2) of (3, 4){}", memory),
                   .inputs = {random({3, 4}, 25)},
                   .run = [index](const Tensors& in) { return gather(in[0], index, 1); },
                   .reference =
                       [wide](const Tensors& in) {
                         return Grid::of({3, 2}, [&](const At& at) {
                           return Rounded(element(in[0], across(wide, at)));
                         });
                       },
                   .dtypes = kArithmetic});
    all.push_back(
        {.op = "scatter_sum",
         .name = format("(3, 2) into (3, 5){}", memory),
         .inputs = {random({3, 2}, 26)},
         .run =
             [index](const Tensors& in) {
               return scatter_sum(in[0], index, {3, 5}, 1);
             },
         .reference = scattered({3, 5}, [wide](const At& at) { return across(wide, at); }),
         .dtypes = {DType::f64, DType::f32}});
  }
  return all;
}

/// Indices, labels and conditions are saved too, though nobody differentiates by them.
TEST(Index, AnIndexThatChangesIsNoticed) {
  const Tensor x = requires_grad(random({4, 3}, 1)), w = requires_grad(random({3, 3}, 2));
  struct Reader {
    const char* name;
    Tensor (*f)(const Tensor& x, const Tensor& w, const Tensor& index);
    Shape index{4};
  };
  const Reader readers[] = {
      {"index_select",
       [](const Tensor& t, const Tensor&, const Tensor& i) { return index_select(t, i); }},
      {"index_select",
       [](const Tensor& t, const Tensor&, const Tensor& i) { return embedding(t, i); }},
      {"index_sum",
       [](const Tensor& t, const Tensor&, const Tensor& i) {
         return index_sum(t, i, {5, 3});
       }},
      {"gather",
       [](const Tensor& t, const Tensor&, const Tensor& i) { return gather(t, i, 1); },
       {4, 3}},
      {"scatter_sum",
       [](const Tensor& t, const Tensor&, const Tensor& i) {
         return scatter_sum(t, i, {4, 5}, 1);
       },
       {4, 3}},
      {"cross_entropy",
       [](const Tensor& t, const Tensor&, const Tensor& i) { return cross_entropy(t, i); }},
      {"linear_cross_entropy", [](const Tensor& t, const Tensor& m,
                                  const Tensor& i) { return linear_cross_entropy(t, m, {}, i); }},
  };
  const bool fused = backend(kCpu).name() == "cpu";
  for (const Reader& r : readers) {
    // The composition of a declined kernel reads copies of the labels, which nobody changes.
    if (!fused && std::string_view(r.name).ends_with("cross_entropy")) continue;
    for (const char* update : {"fill_", "copy_into"}) {
      const Tensor index = zeros(r.index, {DType::i64});
      const Tensor y = sum(r.f(x, w, index));
      if (std::string_view(update) == "fill_") {
        fill_(index, 1);
      } else {
        copy_into(ones({}, {DType::i64}), index);
      }
      const std::string text =
          format("backward of {}: a tensor {} that it saved was changed in place by {} since",
                 r.name, r.index, update);
      EXPECT_ERROR(backward(y), StateError, text.c_str());
    }
  }
}

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
