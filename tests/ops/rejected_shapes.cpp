#include "tests/ops/op_table.h"
#include "tests/testing/rejected.h"

namespace tessera::testing {
namespace {

void add_views(Rejections& list) {
  list.add<ShapeError>(
      "reshape",
      [] {
        return reshape(of({2, 3}), {4, -1});
      },
      "reshape: x (2, 3) has 6 elements, which do not divide into (4, -1)");
  list.add<ShapeError>(
      "reshape",
      [] {
        return reshape(of({2, 3}), {7});
      },
      "reshape: x (2, 3) has 6 elements, but (7) has 7");
  list.add<ShapeError>(
      "reshape",
      [] {
        return reshape(of({2, 3}), {});
      },
      "reshape: x (2, 3) has 6 elements, but () has 1");
  list.add<ShapeError>(
      "reshape",
      [] {
        return reshape(of({2, 3}), {-1, -1});
      },
      "reshape: (-1, -1) leaves two sizes open; at most one may be -1");
  list.add<ShapeError>(
      "reshape",
      [] {
        return reshape(of({2, 3}), {-2, 3});
      },
      "reshape: (-2, 3) has a negative size");
  list.add<ShapeError>(
      "reshape",
      [] {
        return reshape(of({0}), {0, -1});
      },
      "reshape: x (0) has 0 elements, which do not divide into (0, -1)");
  list.add<ShapeError>(
      "reshape",
      [] {
        return reshape(of({2}), {int64_t{1} << 62, 4});
      },
      "reshape: (4611686018427387904, 4) has more elements than fit into 63 bits");
  for (const Axes& axes : {Axes{0, 0}, Axes{0, 2}, Axes{0}, Axes{0, 1, 2}}) {
    if (axes == Axes{0, 2}) continue;  // outside of the rank: below
    list.add<ShapeError>(
        "permute",
        [axes] {
          return permute(of({2, 3}), axes);
        },
        format("permute: axes {} must name each axis of x (2, 3) once", axes));
  }
  list.add<ShapeError>(
      "permute",
      [] {
        return permute(of({2, 3}), {0, 2});
      },
      "permute: axis 2 is outside a tensor of rank 2");
  list.add<ShapeError>(
      "expand",
      [] {
        return expand(of({2, 3}), {3});
      },
      "expand: x (2, 3) has more axes than (3)");
  list.add<ShapeError>(
      "expand",
      [] {
        return expand(of({2, 3}), {2, 4});
      },
      "expand: x (2, 3) does not broadcast to (2, 4): axis -1 has sizes 3 and 4");
  list.add<ShapeError>(
      "expand",
      [] {
        return expand(of({2, 1}), {5, 3, 4});
      },
      "expand: x (2, 1) does not broadcast to (5, 3, 4): axis -2 has sizes 2 and 3");
  list.add<ShapeError>(
      "expand", [] { return expand(of({1}), {-3}); },
      "expand: (-3) has a negative size, or more elements than fit into 63 bits");
  list.add<ShapeError>(
      "expand",
      [] {
        return expand(of({1, 1}), {int64_t{1} << 40, int64_t{1} << 40});
      },
      "expand: (1099511627776, 1099511627776) has a negative size, or more elements than fit into "
      "63 bits");
}

void add_slices(Rejections& list) {
  struct Range {
    int64_t begin, end;
  };
  for (const auto& [begin, end] :
       {Range{3, 2}, Range{0, 4}, Range{-4, 2}, Range{-1, 1}, Range{5, 6}}) {
    list.add<IndexError>(
        "slice",
        [begin = begin, end = end] {
          return slice(of({2, 3}), 1, begin, end);
        },
        format("slice: {} to {} lies outside axis 1 of x (2, 3), or ends before it begins", begin,
               end));
  }
  for (int64_t step : {0, -1}) {
    list.add<ValueError>(
        "slice", [step] { return slice(of({3}), 0, 0, 2, step); },
        format("slice: step is {}, but must be at least 1", step));
  }
  for (int64_t index : {2, 5, -3}) {
    list.add<IndexError>(
        "select",
        [index] {
          return select(of({2, 3}), 0, index);
        },
        format("select: index {} lies outside axis 0 of x (2, 3)", index));
  }
  list.add<ShapeError>(
      "unslice", [] { return unslice(of({2}), Slice(0, 1, 4, 1, {6})); },
      "unslice: x is (2), but the slice of (6) is (3)");
  list.add<ShapeError>(
      "squeeze",
      [] {
        return squeeze(of({2, 3}), 0);
      },
      "squeeze: axis 0 of x (2, 3) has size 2, but must have 1");
  list.add<ShapeError>(
      "squeeze",
      [] {
        return squeeze(of({2, 3}), -1);
      },
      "squeeze: axis 1 of x (2, 3) has size 3, but must have 1");
}

void add_joins(Rejections& list) {
  list.add<ShapeError>(
      "concat", [] { return concat(Tensors{}); }, "concat: no tensors");
  list.add<ShapeError>(
      "concat",
      [] {
        return concat({of({2, 3}), of({3, 3})}, 1);
      },
      "concat: part 1 is (3, 3), but part 0 is (2, 3): they may differ on axis 1 alone");
  list.add<ShapeError>(
      "concat",
      [] {
        return concat({of({2, 3}), of({2, 3}), of({3})}, 0);
      },
      "concat: part 2 is (3), but part 0 is (2, 3): they may differ on axis 0 alone");
  list.add<DTypeError>(
      "concat",
      [] {
        return concat({of({2}), of({2}, DType::f64)}, 0);
      },
      "concat: the first part is f32, but another is f64; convert one with .to(dtype)");
  list.add<ShapeError>(
      "concat", [] { return concat({of({})}, 0); }, "concat: axis 0 is outside a tensor of rank 0");
  list.add<ShapeError>(
      "stack", [] { return stack(Tensors{}); }, "stack: no tensors");
  list.add<ShapeError>(
      "stack",
      [] {
        return stack(Tensors{of({2}), of({3})});
      },
      "stack: part 1 is (3), but part 0 is (2)");
  list.add<ShapeError>(
      "stack", [] { return stack(Tensors{of({2})}, 2); },
      "stack: axis 2 is outside a tensor of rank 2");
  list.add<ShapeError>(
      "split",
      [] {
        return split(of({5}), std::vector<int64_t>{2, 2});
      },
      "split: the pieces add up to 4, but axis 0 of x (5) has size 5");
  list.add<ShapeError>(
      "split",
      [] {
        return split(of({5}), std::vector<int64_t>{7, -2});
      },
      "split: a piece has size -2");
}

void add_axes(Rejections& list) {
  struct OnAxis {
    const char* name;
    Tensor (*f)(const Tensor&, int64_t);
    int64_t rank = 2;
  };
  const OnAxis functions[] = {
      {"transpose", [](const Tensor& x, int64_t a) { return transpose(x, a, 0); }},
      {"slice", [](const Tensor& x, int64_t a) { return slice(x, a, 0, 1); }},
      {"select", [](const Tensor& x, int64_t a) { return select(x, a, 0); }},
      {"squeeze", [](const Tensor& x, int64_t a) { return squeeze(x, a); }},
      {"unsqueeze", [](const Tensor& x, int64_t a) { return unsqueeze(x, a); }, 3},
      {"split", [](const Tensor& x, int64_t a) { return split(x, std::vector<int64_t>{1}, a)[0]; }},
      {"sum", [](const Tensor& x, int64_t a) { return sum(x, {a}); }},
      {"mean", [](const Tensor& x, int64_t a) { return mean(x, {a}); }},
      {"var", [](const Tensor& x, int64_t a) { return var(x, {a}); }},
      {"max", [](const Tensor& x, int64_t a) { return max(x, {a}); }},
      {"min", [](const Tensor& x, int64_t a) { return min(x, {a}); }},
      {"logsumexp", [](const Tensor& x, int64_t a) { return logsumexp(x, {a}); }},
      {"argmax", [](const Tensor& x, int64_t a) { return argmax(x, a); }},
      {"softmax", [](const Tensor& x, int64_t a) { return softmax(x, a); }},
      {"log_softmax", [](const Tensor& x, int64_t a) { return log_softmax(x, a); }},
      {"index_select", [](const Tensor& x, int64_t a) { return index_select(x, indices({0}), a); }},
      {"gather",
       [](const Tensor& x, int64_t a) {
         return gather(x, of({2, 3}, DType::i64), a);
       }},
  };
  for (const auto& [name, f, rank] : functions) {
    for (int64_t axis : {rank, -rank - 1, int64_t{17}}) {
      list.add<ShapeError>(
          name,
          [f = f, axis] {
            return f(of({2, 3}), axis);
          },
          format("{}: axis {} is outside a tensor of rank {}", name, axis, rank));
    }
    list.add<StateError>(
        name, [f = f] { return f(Tensor(), 0); }, kUndefined);
  }
}

void add_reductions(Rejections& list) {
  struct Reduction {
    const char* name;
    Tensor (*f)(const Tensor&, const Axes&, KeepDims);
  };
  for (const auto& [name, f] :
       {Reduction{"sum", sum}, Reduction{"mean", mean}, Reduction{"var", var},
        Reduction{"max", max}, Reduction{"min", min}, Reduction{"logsumexp", logsumexp}}) {
    list.add<ShapeError>(
        name,
        [f = f] {
          return f(of({2, 3}), {0, -2}, KeepDims::no);
        },
        format("{}: axes (0, -2) name one axis twice", name));
    for (DType dtype : {DType::boolean, DType::i32, DType::u8}) {
      list.add<DTypeError>(
          name,
          [f = f, dtype] {
            return f(of({2, 3}, dtype), {}, KeepDims::no);
          },
          format("{}: x is {}, but must be floating; convert it with .to(DType::f32)", name,
                 dtype));
    }
    if (std::string_view(name) == "logsumexp") continue;
    list.add<DTypeError>(
        name,
        [f = f] {
          return f(of({2, 3}, DType::f16), {}, KeepDims::no);
        },
        format("{}: x is f16, which is for storage; convert it with .to(DType::f32)", name));
  }
  for (const auto& [name, f] :
       {Reduction{"mean", mean}, Reduction{"var", var}, Reduction{"logsumexp", logsumexp}}) {
    list.add<DTypeError>(
        name, [f = f] { return f(of({2}, DType::i64), {}, KeepDims::no); },
        format("{}: x is i64, but must be floating; convert it with .to(DType::f32)", name));
  }
  for (const auto& [name, f] : {Reduction{"max", max}, Reduction{"min", min}}) {
    list.add<ShapeError>(
        name,
        [f = f] {
          return f(of({0, 3}, DType::i64), {0}, KeepDims::no);
        },
        format("{}: axes (0) of x (0, 3) hold no element, and i64 has no infinity", name));
  }
  list.add<ShapeError>(
      "argmax",
      [] {
        return argmax(of({2, 0}), 1);
      },
      "argmax: axis 1 of x (2, 0) is empty");
  list.add<DTypeError>(
      "argmax", [] { return argmax(of({2}, DType::boolean), 0); },
      "argmax: x is bool, but must be floating; convert it with .to(DType::f32)");
  for (const auto& [shape, text] :
       {std::pair(Shape{2},
                  "sum_to: shapes (2, 3) and (2) do not broadcast: axis -1 has sizes 3 "
                  "and 2"),
        std::pair(Shape{1, 2, 3}, "sum_to: x is (2, 3), to which (1, 2, 3) does not broadcast")}) {
    list.add<ShapeError>(
        "sum_to",
        [shape = shape] {
          return sum_to(of({2, 3}), shape);
        },
        text);
  }
}

void add_creation(Rejections& list) {
  list.add<ShapeError>(
      "empty",
      [] {
        return empty({2, -1});
      },
      "empty: shape (2, -1) has a negative size");
  list.add<ShapeError>(
      "zeros", [] { return zeros({-3}); }, "empty: shape (-3) has a negative size");
  list.add<OutOfMemory>(
      "empty",
      [] {
        return empty({int64_t{1} << 61, 4});
      },
      "empty: shape (2305843009213693952, 4) of f32 has more bytes than fit into 63 bits");
  list.add<ShapeError>(
      "arange", [] { return arange(-1); }, "arange: n is -1, but must not be negative");
  list.add<ShapeError>(
      "from_data",
      [] {
        return from_data(std::vector<double>{1, 2}, {3});
      },
      "from_data: 2 elements, but shape (3) has 3");
  list.add<ShapeError>(
      "item", [] { return of({2}).item<float>(); },
      "item: the tensor is (2), but must have one element");
  list.add<DTypeError>(
      "data", [] { return of({2}).data<double>(); },
      "data: the tensor is f32, but was asked for as f64; convert it with .to(DType::f64)");
  list.add<ShapeError>(
      "shape", [] { return Shape{1, 2, 3, 4, 5, 6, 7, 8, 9}; },
      "shape: 9 axes, but at most 8 are supported");
}

}  // namespace

std::vector<Rejection> rejected_shapes() {
  Rejections list;
  add_views(list);
  add_slices(list);
  add_joins(list);
  add_axes(list);
  add_reductions(list);
  add_creation(list);
  return list.take();
}

}  // namespace tessera::testing
