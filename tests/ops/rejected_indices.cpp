#include "autograd/autograd.h"
#include "tests/ops/op_table.h"
#include "tests/testing/rejected.h"

namespace tessera::testing {
namespace {

/// Calls with an index of which the first element that lies outside is named.
void add_outside(Rejections& list) {
  struct OnIndex {
    const char* name;
    Tensor (*f)(const Tensor& index);
    const char* of;  // what is indexed
    int64_t size;
  };
  const OnIndex functions[] = {
      {"index_select",
       [](const Tensor& i) {
         return index_select(of({4, 2}), i);
       },
       "(4, 2)", 4},
      {"embedding",
       [](const Tensor& i) {
         return embedding(of({5, 2}), i);
       },
       "(5, 2)", 5},
      {"index_sum",
       [](const Tensor& i) {
         return index_sum(of({i.size(0), 2}), i, {3, 2});
       },
       "(3, 2)", 3},
      {"gather", [](const Tensor& i) { return gather(of({6}), i, 0); }, "(6)", 6},
      {"scatter_sum", [](const Tensor& i) { return scatter_sum(of({i.size(0)}), i, {7}, 0); },
       "(7)", 7},
      {"index_add_",
       [](const Tensor& i) {
         const Tensor y = of({2, 2});
         index_add_(y, i, of({i.size(0), 2}));
         return y;
       },
       "(2, 2)", 2},
  };
  for (const auto& [name, f, of_what, size] : functions) {
    for (int64_t bad : {size, int64_t{-1}, size + 100, std::numeric_limits<int64_t>::min()}) {
      list.add<IndexError>(
          name,
          [f = f, bad] {
            return f(indices({1, 0, bad, bad}));
          },
          format("{}: index at 2 is {}, but axis 0 of {} has size {}", name, bad, of_what, size));
    }
    for (DType dtype : {DType::f32, DType::i32, DType::boolean}) {
      list.add<DTypeError>(
          name, [f = f, dtype] { return f(of({2}, dtype)); },
          format("{}: index is {}, but must be i64; convert it with .to(DType::i64)", name, dtype));
    }
  }
  list.add<IndexError>(
      "one_hot",
      [] {
        return one_hot(indices({0, 3}), 3);
      },
      "one_hot: index at 1 is 3, but axis 1 of (2, 3) has size 3");
  list.add<IndexError>(
      "embedding",
      [] {
        return embedding(of({5, 2}), from_data(std::vector<int64_t>{0, 1, 9, 2}, {2, 2}));
      },
      "embedding: index at (1, 0) is 9, but axis 0 of (5, 2) has size 5");
  list.add<ValueError>(
      "one_hot", [] { return one_hot(indices({0}), 0); },
      "one_hot: 0 classes, but at least one is needed");
}

void add_index_shapes(Rejections& list) {
  const Tensor square = zeros({2, 2}, {DType::i64});
  list.add<ShapeError>(
      "index_select",
      [=] {
        return index_select(of({4, 2}), square);
      },
      "index_select: index is (2, 2), but must be (n)");
  list.add<ShapeError>(
      "index_sum",
      [=] {
        return index_sum(of({4, 2}), square, {5, 2});
      },
      "index_sum: index is (2, 2), but must be (n)");
  list.add<ShapeError>(
      "index_sum",
      [] {
        return index_sum(of({4, 2}), indices({0, 1}), {5, 2});
      },
      "index_sum: x is (4, 2), but 2 indices on axis 0 of (5, 2) need (2, 2)");
  list.add<ShapeError>(
      "embedding", [] { return embedding(of({4}), indices({0})); },
      "embedding: weight is (4), but must be (V, C)");
  list.add<ShapeError>(
      "gather",
      [=] {
        return gather(of({3, 4}), square, 1);
      },
      "gather: index is (2, 2), but must have the sizes of (3, 4) except on axis 1");
  list.add<ShapeError>(
      "gather",
      [] {
        return gather(of({3, 4}), indices({0}), 1);
      },
      "gather: index is (1), but must have the sizes of (3, 4) except on axis 1");
  list.add<ShapeError>(
      "scatter_sum",
      [=] {
        return scatter_sum(of({2, 3}), square, {2, 4}, 1);
      },
      "scatter_sum: x is (2, 3), but index is (2, 2)");
  list.add<ShapeError>(
      "scatter_sum",
      [=] {
        return scatter_sum(of({2, 2}), square, {3, 4}, 1);
      },
      "scatter_sum: index is (2, 2), but must have the sizes of (3, 4) except on axis 1");
  list.add<ShapeError>(
      "index_add_",
      [] {
        index_add_(of({3, 2}), indices({0}), of({2, 2}));
        return 0;
      },
      "index_add_: x is (2, 2), but 1 indices into y (3, 2) need (1, 2)");
  list.add<ShapeError>(
      "index_add_",
      [=] {
        index_add_(of({3, 2}), square, of({2, 2}));
        return 0;
      },
      "index_add_: index is (2, 2), but must be (n)");
  list.add<DTypeError>(
      "index_add_",
      [] {
        index_add_(of({3}), indices({0}), of({1}, DType::f64));
        return 0;
      },
      "index_add_: x is f64, but y is f32; convert one with .to(dtype)");
}

struct InPlace {
  const char* name;
  void (*f)(const Tensor& y);
};
const InPlace kInPlace[] = {
    {"fill_", [](const Tensor& y) { fill_(y, 1); }},
    {"copy_into", [](const Tensor& y) { copy_into(of({}), y); }},
    {"index_add_",
     [](const Tensor& y) {
       index_add_(y, indices({0}), of({1, 2}));
     }},
};

void add_in_place(Rejections& list) {
  for (const auto& [name, f] : kInPlace) {
    list.add<StateError>(
        name,
        [f = f] {
          f(requires_grad(of({2, 2})) * 2.0);
          return 0;
        },
        format("{}: would change the result (2, 2) of a recorded op in place; write into .detach() "
               "or a .clone() of it",
               name));
    list.add<StateError>(
        name,
        [f = f] {
          f(expand(of({1, 2}), {3, 2}));
          return 0;
        },
        format("{}: axis 0 of y (3, 2) repeats one element (it was expanded), so it cannot be "
               "written; use .contiguous()",
               name));
    list.add<StateError>(
        name,
        [f = f] {
          f(Tensor());
          return 0;
        },
        kUndefined);
  }
  list.add<ShapeError>(
      "copy_into",
      [] {
        copy_into(of({3}), of({2}));
        return 0;
      },
      "copy_into: shapes (3) and (2) do not broadcast: axis -1 has sizes 3 and 2");
  list.add<ShapeError>(
      "copy_into",
      [] {
        copy_into(of({3, 2}), of({2}));
        return 0;
      },
      "copy_into: x is (3, 2), which does not broadcast to y (2)");
  list.add<ShapeError>(
      "assign",
      [] {
        of({2}).assign(of({3}));
        return 0;
      },
      "assign: the tensor is (2), but its new elements are (3)");
  list.add<DTypeError>(
      "assign",
      [] {
        of({2}).assign(of({2}, DType::f64));
        return 0;
      },
      "assign: the tensor is f32, but its new elements are f64; convert them with "
      ".to(DType::f32)");
}

AdamWItem good_item() {
  return {.param = of({2, 2}), .grad = of({2, 2}), .m = of({2, 2}), .v = of({2, 2}), .lr = 0.1};
}

void add_updates(Rejections& list) {
  auto item = [&]<class E>(std::type_identity<E>, void (*spoil)(AdamWItem&), const char* text) {
    list.add<E>(
        "adamw_update",
        [spoil] {
          AdamWItem i = good_item();
          spoil(i);
          adamw_update(std::span(&i, 1), {});
          return 0;
        },
        text);
  };
  constexpr std::type_identity<StateError> state;
  constexpr std::type_identity<ShapeError> shape;
  constexpr std::type_identity<DTypeError> dtype;
  item(
      state, [](AdamWItem& i) { i.grad = Tensor(); },
      "adamw_update: parameter 0 (2, 2) has no gradient; was backward() called?");
  item(
      shape, [](AdamWItem& i) { i.grad = of({2}); },
      "adamw_update: grad of parameter 0 is (2), but it is (2, 2)");
  item(
      shape, [](AdamWItem& i) { i.m = of({4}); },
      "adamw_update: m of parameter 0 is (4), but it is (2, 2)");
  item(
      shape, [](AdamWItem& i) { i.v = of({}); },
      "adamw_update: v of parameter 0 is (), but it is (2, 2)");
  item(
      shape,
      [](AdamWItem& i) {
        i.average = of({2, 3});
      },
      "adamw_update: average of parameter 0 is (2, 3), but it is (2, 2)");
  item(
      dtype,
      [](AdamWItem& i) {
        i.m = of({2, 2}, DType::f64);
      },
      "adamw_update: the parameter is f32, but m is f64; convert one with .to(dtype)");
  item(
      dtype,
      [](AdamWItem& i) {
        i.param = of({2, 2}, DType::bf16);
      },
      "adamw_update: tensor 0 is bf16, but must be f32 or f64");
  item(
      state,
      [](AdamWItem& i) {
        i.param = transpose(of({2, 2}));
      },
      "adamw_update: parameter 0 (2, 2) or a state of it is not contiguous");
  item(
      state,
      [](AdamWItem& i) {
        i.v = transpose(of({2, 2}));
      },
      "adamw_update: parameter 0 (2, 2) or a state of it is not contiguous");
  auto options = [&](AdamWOptions o, const char* text) {
    list.add<ValueError>(
        "adamw_update",
        [o] {
          const AdamWItem i = good_item();
          adamw_update(std::span(&i, 1), o);
          return 0;
        },
        text);
  };
  options({.step = 0}, "adamw_update: step is 0, but counts from 1");
  options({.beta1 = 1}, "adamw_update: beta1 is 1, but must be in [0, 1)");
  options({.beta2 = -0.5}, "adamw_update: beta2 is -0.5, but must be in [0, 1)");
  for (double bound : {0.0, -1.0}) {
    list.add<ValueError>(
        "clip_scale", [bound] { return clip_scale(of({}), bound); },
        format("clip_scale: max_norm is {}, but must be positive", bound));
  }
  list.add<DTypeError>(
      "global_norm",
      [] {
        const Tensor x = of({2}, DType::i64);
        return global_norm(std::span(&x, 1));
      },
      "global_norm: tensor 0 is i64, but must be f32 or f64");
}

void add_random(Rejections& list) {
  const RandomKey key{1};
  for (DType dtype : {DType::i64, DType::boolean}) {
    list.add<DTypeError>(
        "uniform", [=] { return uniform({2}, key, {dtype}); },
        format("uniform: dtype is {}, but must be floating", dtype));
    list.add<DTypeError>(
        "normal", [=] { return normal({2}, key, {dtype}); },
        format("normal: dtype is {}, but must be floating", dtype));
    list.add<DTypeError>(
        "truncated_normal", [=] { return truncated_normal({2}, key, 1, 2, {dtype}); },
        format("truncated_normal: dtype is {}, but must be floating", dtype));
    list.add<DTypeError>(
        "drop_path_scale",
        [=] { return drop_path_scale(std::vector<int64_t>{0}, 0.1, key, {dtype}); },
        format("drop_path_scale: dtype is {}, but must be floating", dtype));
  }
  list.add<ValueError>(
      "uniform", [=] { return uniform({2}, key, {}, 1, 1); },
      "uniform: low is 1, which is not below high 1");
  list.add<ValueError>(
      "truncated_normal", [=] { return truncated_normal({2}, key, -1, 2); },
      "truncated_normal: std is -1, but must be at least 0 and finite");
  list.add<ValueError>(
      "truncated_normal", [=] { return truncated_normal({2}, key, 1, 0); },
      "truncated_normal: bound is 0, but must be positive");
  list.add<ShapeError>(
      "randperm", [=] { return randperm(-1, key); },
      "randperm: n is -1, but must be in 0 ... 2^32");
  for (const auto& [p, text] : {std::pair(-0.1, "-0.1"), std::pair(1.5, "1.5")}) {
    list.add<ValueError>(
        "bernoulli", [=, p = p] { return bernoulli({2}, key, p); },
        format("bernoulli: p is {}, but must be in [0, 1]", text));
    list.add<ValueError>(
        "dropout", [=, p = p] { return dropout(of({2}), p, key); },
        format("dropout: p is {}, but must be in [0, 1)", text));
    list.add<ValueError>(
        "drop_path_scale", [=, p = p] { return drop_path_scale(std::vector<int64_t>{0}, p, key); },
        format("drop_path_scale: p is {}, but must be in [0, 1)", text));
  }
  list.add<DTypeError>(
      "dropout", [=] { return dropout(of({2}, DType::i64), 0.5, key); },
      "dropout: x is i64, but must be floating; convert it with .to(DType::f32)");
  list.add<ShapeError>(
      "drop_path",
      [] {
        return drop_path(of({2, 3}), of({3}));
      },
      "drop_path: row_scale is (3), but x is (2, 3): it needs one factor a row");
  list.add<ShapeError>(
      "drop_path", [] { return drop_path(of({}), of({1})); },
      "drop_path: row_scale is (1), but x is (): it needs one factor a row");
}

}  // namespace

std::vector<Rejection> rejected_indices() {
  Rejections list;
  add_outside(list);
  add_index_shapes(list);
  add_random(list);
  return list.take();
}

std::vector<Rejection> rejected_updates() {
  Rejections list;
  add_in_place(list);
  add_updates(list);
  return list.take();
}

}  // namespace tessera::testing
