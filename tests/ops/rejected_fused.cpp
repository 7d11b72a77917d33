#include "tests/ops/op_table.h"
#include "tests/testing/rejected.h"

namespace tessera::testing {
namespace {

constexpr DType kIntegers[] = {DType::i64, DType::boolean};

void add_matmul(Rejections& list) {
  for (DType dtype : kIntegers) {
    list.add<DTypeError>(
        "matmul",
        [dtype] {
          return matmul(of({2, 2}, dtype), of({2, 2}, dtype));
        },
        format("matmul: a is {}, but must be floating; convert it with .to(DType::f32)", dtype));
  }
  list.add<DTypeError>(
      "matmul",
      [] {
        return matmul(of({2, 2}), of({2, 2}, DType::f64));
      },
      "matmul: a is f32, but b is f64; convert one with .to(dtype)");
  list.add<ShapeError>(
      "matmul",
      [] {
        return matmul(of({2}), of({2, 2}));
      },
      "matmul: a is (2), but must have two axes; insert one with unsqueeze");
  list.add<ShapeError>(
      "matmul",
      [] {
        return matmul(of({2, 2}), of({}));
      },
      "matmul: b is (), but must have two axes; insert one with unsqueeze");
  list.add<ShapeError>(
      "matmul",
      [] {
        return matmul(of({2, 3}), of({4, 5}));
      },
      "matmul: inner sizes differ: a is (2, 3), b is (4, 5)");
  list.add<ShapeError>(
      "matmul",
      [] {
        return matmul(of({2, 3}), of({4, 3}));
      },
      "matmul: inner sizes differ: a is (2, 3), b is (4, 3); pass transpose_b for a times b "
      "transposed");
  list.add<ShapeError>(
      "matmul",
      [] {
        return matmul(of({2, 3}), of({3, 4}), {.transpose_b = true});
      },
      "matmul: inner sizes differ: a is (2, 3), b is (3, 4) (transposed); leave transpose_b out "
      "for a times b as it is");
  list.add<ShapeError>(
      "matmul",
      [] {
        return matmul(of({2, 3}), of({3, 4}), {.transpose_a = true});
      },
      "matmul: inner sizes differ: a is (2, 3) (transposed), b is (3, 4)");
  list.add<ShapeError>(
      "matmul",
      [] {
        return matmul(of({2, 3, 3}), of({4, 3, 3}));
      },
      "matmul: shapes (2) and (4) do not broadcast: axis -1 has sizes 2 and 4");
}

void add_linear(Rejections& list) {
  list.add<DTypeError>(
      "linear",
      [] {
        return linear(of({2, 3}, DType::i64), of({4, 3}));
      },
      "linear: x is i64, but must be floating; convert it with .to(DType::f32)");
  list.add<ShapeError>(
      "linear",
      [] {
        return linear(of({}), of({4, 3}));
      },
      "linear: x is (), but must be (..., in)");
  list.add<ShapeError>(
      "linear",
      [] {
        return linear(of({2, 3}), of({4, 5}));
      },
      "linear: weight (4, 5) takes 5 columns, but the last axis of x (2, 3) is 3");
  list.add<ShapeError>(
      "linear",
      [] {
        return linear(of({2, 3}), of({3}));
      },
      "linear: weight is (3), but must be (out, in)");
  list.add<ShapeError>(
      "linear",
      [] {
        return linear(of({2, 3}), of({4, 3}), of({3}));
      },
      "linear: bias is (3), but weight (4, 3) gives 4 columns");
  list.add<DTypeError>(
      "linear",
      [] {
        return linear(of({2, 3}), of({4, 3}, DType::f64));
      },
      "linear: weight is f64, but beside x of f32 it must be f32; convert it with .to(DType::f32)");
  list.add<DTypeError>(
      "linear",
      [] {
        return linear(of({2, 3}, DType::bf16), of({4, 3}, DType::bf16));
      },
      "linear: weight is bf16, but beside x of bf16 it must be f32; convert it with "
      ".to(DType::f32)");
  list.add<DTypeError>(
      "linear",
      [] {
        return linear(of({2, 3}, DType::f64), of({4, 3}, DType::f64), of({4}));
      },
      "linear: bias is f32, but beside x of f64 it must be f64; convert it with .to(DType::f64)");
  auto grouped = [&](RowGroups groups, Tensors w, Tensors b, const char* text) {
    list.add<ShapeError>(
        "grouped_linear",
        [=] {
          return grouped_linear(of({4, 3}), groups, w, b);
        },
        text);
  };
  grouped({{4}}, {}, {}, "grouped_linear: no weights");
  grouped({{4}}, {of({2, 3}), of({2, 3})}, {},
          "grouped_linear: 1 ranges of rows, but 2 sets of parameters");
  grouped({{1, 4}}, {of({2, 3}), of({2, 3})}, {of({2})},
          "grouped_linear: 2 weights, but 1 biases; pass an undefined tensor for none");
  grouped({{3, 2, 4}}, {of({2, 3}), of({2, 3}), of({2, 3})}, {},
          "grouped_linear: range 1 of rows goes from 3 to 2; ends must not descend");
  grouped({{-1, 4}}, {of({2, 3}), of({2, 3})}, {},
          "grouped_linear: range 0 of rows goes from 0 to -1; ends must not descend");
  grouped({{2, 3}}, {of({2, 3}), of({2, 3})}, {},
          "grouped_linear: the ranges end at row 3, but x has 4 rows");
  grouped({{2, 4}}, {of({2, 3}), of({5, 3})}, {},
          "grouped_linear: weight (5, 3) gives 5 columns, but the first gives 2");
  grouped({{4}}, {of({2})}, {}, "grouped_linear: weight is (2), but must be (out, in)");
  list.add<ShapeError>(
      "grouped_linear",
      [] {
        return grouped_linear(of({2, 2, 3}), {{4}}, Tensors{of({2, 3})}, {});
      },
      "grouped_linear: x is (2, 2, 3), but must be (N, in)");
}

void add_norms(Rejections& list) {
  auto norm = [&]<class E>(std::type_identity<E>, Tensor x, Tensor gamma, Tensor beta, double eps,
                           const char* text) {
    list.add<E>(
        "layer_norm", [=] { return layer_norm(x, gamma, beta, eps); }, text);
  };
  constexpr std::type_identity<ShapeError> shape;
  constexpr std::type_identity<DTypeError> dtype;
  constexpr std::type_identity<ValueError> value;
  norm(dtype, of({2, 3}, DType::i64), of({3}), of({3}), 1e-5,
       "layer_norm: x is i64, but must be floating; convert it with .to(DType::f32)");
  norm(shape, of({}), of({3}), of({3}), 1e-5, "layer_norm: x is (), but must be (..., C)");
  norm(shape, of({2, 3}), of({2}), of({3}), 1e-5,
       "layer_norm: gamma is (2), but the last axis of x (2, 3) is 3");
  norm(shape, of({2, 3}), of({3}), of({3, 1}), 1e-5,
       "layer_norm: beta is (3, 1), but the last axis of x (2, 3) is 3");
  norm(value, of({2, 3}), of({3}), of({3}), -1, "layer_norm: eps is -1, but must be at least 0");
  norm(dtype, of({2, 3}), of({3}, DType::f64), of({3}), 1e-5,
       "layer_norm: gamma is f64, but beside x of f32 it must be f32; convert it with "
       ".to(DType::f32)");
  norm(dtype, of({2, 3}, DType::bf16), of({3}), of({3}, DType::bf16), 1e-5,
       "layer_norm: beta is bf16, but beside x of bf16 it must be f32; convert it with "
       ".to(DType::f32)");
  struct Grouped {
    const char* name;
    Tensor (*f)(const Tensor&, const RowGroups&, std::span<const Tensor>, std::span<const Tensor>,
                double);
  };
  for (const auto& [name, f] : {Grouped{"grouped_layer_norm", grouped_layer_norm},
                                Grouped{"gelu_layer_norm", gelu_layer_norm}}) {
    const Tensors one{of({3})}, two{of({3}), of({3})};
    auto refuse = [&, name = name, f = f](const Shape& x, const RowGroups& groups,
                                          const Tensors& gamma, const Tensors& beta,
                                          std::string_view text) {
      list.add<ShapeError>(
          name, [=] { return f(of(x), groups, gamma, beta, 1e-5); }, format("{}: {}", name, text));
    };
    refuse({4, 3}, {{4}}, {}, {}, "no gamma");
    refuse({4, 3}, {{4}}, two, one, "2 gammas, but 1 betas");
    refuse({4, 3}, {{4}}, two, two, "1 ranges of rows, but 2 sets of parameters");
    refuse({4, 3}, {{3, 2}}, two, two, "range 1 of rows goes from 3 to 2; ends must not descend");
    refuse({4, 3}, {{1, 3}}, two, two, "the ranges end at row 3, but x has 4 rows");
    refuse({2, 2, 3}, {{1, 4}}, two, two,
           "x is (2, 2, 3), but must be (N, C) to be cut into ranges of rows");
    refuse({4, 5}, {{1, 4}}, two, two, "gamma is (3), but the last axis of x (4, 5) is 5");
  }
  auto residual = [&]<class E>(std::type_identity<E>, Tensor x, Tensor delta, Tensor scale,
                               const char* text) {
    list.add<E>(
        "add_layer_norm",
        [=] {
          return add_layer_norm(x, delta, scale, {{4}}, Tensors{of({3})}, Tensors{of({3})}).sum;
        },
        text);
  };
  residual(shape, of({2, 2, 3}), of({2, 2, 3}), {},
           "add_layer_norm: x is (2, 2, 3), but must be (N, C)");
  residual(shape, of({4, 3}), of({4, 2}), {}, "add_layer_norm: delta is (4, 2), but x is (4, 3)");
  residual(dtype, of({4, 3}), of({4, 3}, DType::f64), {},
           "add_layer_norm: x is f32, but delta is f64; convert one with .to(dtype)");
  residual(shape, of({4, 3}), of({4, 3}), of({3}),
           "add_layer_norm: row_scale is (3), but x (4, 3) has 4 rows");
  residual(dtype, of({4, 3}), of({4, 3}), of({4}, DType::bf16),
           "add_layer_norm: row_scale is bf16, but beside x of f32 it must be f32; convert it with "
           ".to(DType::f32)");
}

void add_losses(Rejections& list) {
  const Tensor labels = indices({0, 1});
  auto rows = [&]<class E>(std::type_identity<E>, Tensor logits, Tensor index,
                           CrossEntropyOptions options, const char* text) {
    list.add<E>(
        "cross_entropy_rows", [=] { return cross_entropy_rows(logits, index, options).loss; },
        text);
  };
  constexpr std::type_identity<ShapeError> shape;
  constexpr std::type_identity<DTypeError> dtype;
  constexpr std::type_identity<ValueError> value;
  constexpr std::type_identity<IndexError> index_error;
  rows(dtype, of({2, 3}, DType::i64), labels, {},
       "cross_entropy: logits is i64, but must be floating; convert it with .to(DType::f32)");
  rows(shape, of({2}), labels, {}, "cross_entropy: logits is (2), but must be (N, V)");
  rows(shape, of({3, 3}), labels, {}, "cross_entropy: labels are (2), but (3, 3) has 3 rows");
  rows(shape, of({2, 3}), zeros({2, 1}, {DType::i64}), {},
       "cross_entropy: labels are (2, 1), but (2, 3) has 2 rows");
  rows(shape, of({2, 0}), labels, {}, "cross_entropy: (2, 0) has no classes");
  rows(value, of({2, 3}), labels, {.label_smoothing = 1},
       "cross_entropy: label_smoothing is 1, but must be in [0, 1)");
  rows(value, of({2, 3}), labels, {.label_smoothing = -0.5},
       "cross_entropy: label_smoothing is -0.5, but must be in [0, 1)");
  rows(dtype, of({2, 3}), of({2}), {},
       "cross_entropy: labels is f32, but must be i64; convert it with .to(DType::i64)");
  rows(index_error, of({2, 3}), indices({0, 3}), {},
       "cross_entropy: labels at 1 is 3, but axis 1 of (2, 3) has size 3");
  rows(index_error, of({2, 3}), indices({-1, 0}), {},
       "cross_entropy: labels at 0 is -1, but axis 1 of (2, 3) has size 3");
  rows(index_error, of({2, 3}), indices({0, -100}), {.ignore_index = -1},
       "cross_entropy: labels at 1 is -100, but axis 1 of (2, 3) has size 3");
  auto linear_rows = [&]<class E>(std::type_identity<E>, Tensor x, Tensor w, Tensor b, Tensor index,
                                  const char* text) {
    list.add<E>(
        "linear_cross_entropy_rows", [=] { return linear_cross_entropy_rows(x, w, b, index).loss; },
        text);
  };
  linear_rows(shape, of({2}), of({4, 3}), {}, labels,
              "linear_cross_entropy: x is (2), but must be (N, C)");
  linear_rows(shape, of({2, 3}), of({4}), {}, labels,
              "linear_cross_entropy: weight is (4), but must be (V, C)");
  linear_rows(shape, of({2, 3}), of({4, 5}), {}, labels,
              "linear_cross_entropy: weight (4, 5) takes 5 columns, but the last axis of x (2, 3) "
              "is 3");
  linear_rows(shape, of({2, 3}), of({4, 3}), of({3}), labels,
              "linear_cross_entropy: bias is (3), but weight (4, 3) gives 4 columns");
  linear_rows(dtype, of({2, 3}), of({4, 3}, DType::f64), {}, labels,
              "linear_cross_entropy: weight is f64, but beside x of f32 it must be f32; convert it "
              "with .to(DType::f32)");
  linear_rows(dtype, of({2, 3}), of({4, 3}), of({4}, DType::bf16), labels,
              "linear_cross_entropy: bias is bf16, but beside x of f32 it must be f32; convert it "
              "with .to(DType::f32)");
  linear_rows(index_error, of({2, 3}), of({4, 3}), {}, indices({0, 4}),
              "linear_cross_entropy: labels at 1 is 4, but axis 0 of (4, 3) has size 4");
  linear_rows(shape, of({2, 3}), of({0, 3}), {}, labels,
              "linear_cross_entropy: (0, 3) has no classes");
}

void add_attention(Rejections& list) {
  const Segments two = Segments::uniform(1, 2);
  auto refuse = [&](Tensor qkv, const char* text) {
    list.add<ShapeError>(
        "segmented_attention", [=] { return segmented_attention(qkv, two); }, text);
  };
  refuse(of({2, 3, 4}), "segmented_attention: qkv is (2, 3, 4), but must be (N, 3, H, D)");
  refuse(of({2, 2, 1, 4}), "segmented_attention: qkv is (2, 2, 1, 4), but must be (N, 3, H, D)");
  refuse(of({5, 3, 1, 4}),
         "segmented_attention: the segments cover 2 rows, but qkv (5, 3, 1, 4) has 5");
  refuse(of({2, 3, 1, 0}), "segmented_attention: the heads of qkv (2, 3, 1, 0) have no elements");
  for (DType dtype : kIntegers) {
    list.add<DTypeError>(
        "segmented_attention",
        [=] {
          return segmented_attention(of({2, 3, 1, 4}, dtype), two);
        },
        format("segmented_attention: qkv is {}, but must be floating; convert it with "
               ".to(DType::f32)",
               dtype));
  }
  auto cut = [&](std::vector<Segment> segments, int64_t rows, const char* text) {
    list.add<ShapeError>(
        "segmented_attention", [=] { return Segments(segments, rows); }, text);
  };
  cut({{0, 2, 0, 0}}, 3, "segments: row 2 is in no segment, but must be in one");
  cut({{0, 2, 0, 0}, {1, 3, 0, 0}}, 3, "segments: row 1 is in two segments, but must be in one");
  cut({{0, 1, 0, 0}, {2, 3, 0, 0}}, 3, "segments: row 1 is in no segment, but must be in one");
  cut({{0, 4, 0, 0}}, 3, "segments: segment 0 has the rows 0 to 4, but there are 3 rows");
  cut({{2, 1, 0, 0}}, 3, "segments: segment 0 has the rows 2 to 1, but there are 3 rows");
  cut({{0, 2, 0, 0, 2}}, 2,
      "segments: of the 2 rows of segment 0, 2 are unseen; at least one must be seen");
  list.add<ShapeError>(
      "segmented_attention", [] { return Segments::uniform(-1, 2); },
      "segments: -1 sequences of 2 rows");
  for (DType dtype : kIntegers) {
    list.add<DTypeError>(
        "softmax", [dtype] { return softmax(of({2}, dtype)); },
        format("softmax: x is {}, but must be floating; convert it with .to(DType::f32)", dtype));
    list.add<DTypeError>(
        "log_softmax", [dtype] { return log_softmax(of({2}, dtype)); },
        format("log_softmax: x is {}, but must be floating; convert it with .to(DType::f32)",
               dtype));
  }
}

}  // namespace

std::vector<Rejection> rejected_fused() {
  Rejections list;
  add_matmul(list);
  add_linear(list);
  add_norms(list);
  add_losses(list);
  add_attention(list);
  return list.take();
}

}  // namespace tessera::testing
