#include "tests/ops/op_table.h"
#include "tests/testing/rejected.h"

namespace tessera::testing {
namespace {

using Function = Tensor (*)(const Tensor&);
using Function2 = Tensor (*)(const Tensor&, const Tensor&);

struct Named {
  const char* name;
  Function f;
};
struct Named2 {
  const char* name;
  Function2 f;
};

void add_floating_functions(Rejections& list) {
  const Named functions[] = {
      {"sign", sign},
      {"exp", exp},
      {"log", log},
      {"sqrt", sqrt},
      {"rsqrt", rsqrt},
      {"reciprocal", reciprocal},
      {"sin", sin},
      {"cos", cos},
      {"tanh", tanh},
      {"sigmoid", sigmoid},
      {"softplus", softplus},
      {"relu", relu},
      {"erf", erf},
      {"gelu", gelu},
      {"gelu_grad", gelu_grad},
      {"pow", [](const Tensor& x) { return pow(x, 2); }},
      {"clamp", [](const Tensor& x) { return clamp(x, 0, 1); }},
  };
  for (const auto& [name, f] : functions) {
    for (DType dtype : {DType::i64, DType::i32, DType::u8, DType::boolean}) {
      list.add<DTypeError>(
          name, [f = f, dtype] { return f(of({2}, dtype)); },
          format("{}: x is {}, but must be floating; convert it with .to(DType::f32)", name,
                 dtype));
    }
    list.add<DTypeError>(
        name, [f = f] { return f(of({2}, DType::f16)); },
        format("{}: x is f16, which is for storage; convert it with .to(DType::f32)", name));
    list.add<StateError>(
        name, [f = f] { return f(Tensor()); }, kUndefined);
  }
}

void add_arithmetic(Rejections& list) {
  const Named functions[] = {
      {"neg", neg},
      {"abs", abs},
      {"square", square},
      {"add_scalar", [](const Tensor& x) { return x + 1.0; }},
      {"mul_scalar", [](const Tensor& x) { return x * 2.0; }},
  };
  for (const auto& [name, f] : functions) {
    list.add<DTypeError>(
        name, [f = f] { return f(of({2}, DType::boolean)); },
        format("{}: x is bool, which has no arithmetic; use logical_and, logical_or, logical_not, "
               "or convert it with .to(dtype)",
               name));
    for (DType dtype : {DType::f16, DType::i32, DType::u8}) {
      list.add<DTypeError>(
          name, [f = f, dtype] { return f(of({2}, dtype)); },
          format("{}: x is {}, which is for storage; convert it with .to(dtype)", name, dtype));
    }
    list.add<StateError>(
        name, [f = f] { return f(Tensor()); }, kUndefined);
  }
  for (DType dtype : {DType::i64, DType::i32, DType::u8}) {
    for (const auto& [number, text] : {std::pair(0.5, "0.5"), std::pair(-1.25, "-1.25")}) {
      list.add<ValueError>(
          "add_number", [number = number, dtype] { return of({2}, dtype) + number; },
          format("add: {} is no integer, but x is {}; convert x with .to(DType::f32)", text,
                 dtype));
      list.add<ValueError>(
          "mul_number", [number = number, dtype] { return of({2}, dtype) * number; },
          format("mul: {} is no integer, but x is {}; convert x with .to(DType::f32)", text,
                 dtype));
    }
  }
  list.add<ValueError>(
      "div_number", [] { return of({2}, DType::i64) / 4.0; },
      "mul: 0.25 is no integer, but x is i64; convert x with .to(DType::f32)");
  list.add<DTypeError>(
      "number_div", [] { return 3.0 / of({2}, DType::i64); },
      "reciprocal: x is i64, but must be floating; convert it with .to(DType::f32)");
  for (const auto& [low, high] : {std::pair(2, 1), std::pair(0, -1), std::pair(5, 4)}) {
    list.add<ValueError>(
        "clamp", [low = low, high = high] { return clamp(of({2}), low, high); },
        format("clamp: low is {}, which is not at most high {}", low, high));
  }
}

struct BadShapes {
  Shape a, b;
  int axis;
  int64_t na, nb;
};
const BadShapes kBadShapes[] = {{{2, 3}, {2, 4}, -1, 3, 4},
                                {{3}, {4}, -1, 3, 4},
                                {{2, 3}, {3, 3}, -2, 2, 3},
                                {{2, 1, 3}, {4, 1, 2}, -1, 3, 2},
                                {{0, 3}, {2, 3}, -2, 0, 2}};

std::string not_broadcast(std::string_view op, const BadShapes& s) {
  return format("{}: shapes {} and {} do not broadcast: axis {} has sizes {} and {}", op, s.a, s.b,
                s.axis, s.na, s.nb);
}

void add_binary(Rejections& list) {
  const Named2 functions[] = {{"add", add}, {"sub", sub},         {"mul", mul},
                              {"div", div}, {"maximum", maximum}, {"minimum", minimum}};
  for (const auto& [name, f] : functions) {
    const bool divides = std::string_view(name) == "div";
    for (const BadShapes& s : kBadShapes) {
      list.add<ShapeError>(
          name, [f = f, s] { return f(of(s.a), of(s.b)); }, not_broadcast(name, s));
    }
    for (const auto& [a, b] : {std::pair(DType::f32, DType::f64), std::pair(DType::f32, DType::i64),
                               std::pair(DType::bf16, DType::f32)}) {
      list.add<DTypeError>(
          name, [f = f, a = a, b = b] { return f(of({2}, a), of({2}, b)); },
          format("{}: a is {}, but b is {}; convert one with .to(dtype)", name, a, b));
    }
    for (DType dtype : {DType::f16, DType::i32, DType::u8, DType::boolean}) {
      std::string text =
          format("{}: a is {}, which is for storage; convert it with .to(dtype)", name, dtype);
      if (dtype == DType::boolean) {
        text = format(
            "{}: a is bool, which has no arithmetic; use logical_and, logical_or, logical_not, or "
            "convert it with .to(dtype)",
            name);
      }
      if (divides && dtype != DType::f16) {
        text = format("div: a is {}, but must be floating; convert it with .to(DType::f32)", dtype);
      }
      list.add<DTypeError>(
          name, [f = f, dtype] { return f(of({2}, dtype), of({2}, dtype)); }, text);
    }
    list.add<StateError>(
        name, [f = f] { return f(Tensor(), of({2})); }, kUndefined);
    list.add<StateError>(
        name, [f = f] { return f(of({2}), Tensor()); }, kUndefined);
  }
}

void add_comparisons(Rejections& list) {
  const Named2 functions[] = {
      {"equal", [](const Tensor& a, const Tensor& b) { return equal(a, b); }},
      {"less", [](const Tensor& a, const Tensor& b) { return a < b; }},
      {"greater_equal", [](const Tensor& a, const Tensor& b) { return a >= b; }}};
  for (const auto& [name, f] : functions) {
    for (const BadShapes& s : kBadShapes) {
      list.add<ShapeError>(
          name, [f = f, s] { return f(of(s.a), of(s.b)); }, not_broadcast("compare", s));
    }
    list.add<DTypeError>(
        name, [f = f] { return f(of({2}), of({2}, DType::i64)); },
        "compare: a is f32, but b is i64; convert one with .to(dtype)");
  }
}

void add_logic(Rejections& list) {
  for (const auto& [name, f] :
       {Named2{"logical_and", logical_and}, Named2{"logical_or", logical_or}}) {
    for (DType dtype : {DType::f32, DType::i64, DType::u8}) {
      list.add<DTypeError>(
          name, [f = f, dtype] { return f(of({2}, dtype), of({2}, DType::boolean)); },
          format("{}: a is {} and b is bool, but both must be bool; compare them with 0", name,
                 dtype));
      list.add<DTypeError>(
          name, [f = f, dtype] { return f(of({2}, DType::boolean), of({2}, dtype)); },
          format("{}: a is bool and b is {}, but both must be bool; compare them with 0", name,
                 dtype));
    }
    list.add<ShapeError>(
        name, [f = f] { return f(of({2}, DType::boolean), of({3}, DType::boolean)); },
        format("{}: shapes (2) and (3) do not broadcast: axis -1 has sizes 2 and 3", name));
  }
  for (DType dtype : {DType::f32, DType::i64, DType::u8, DType::f16}) {
    list.add<DTypeError>(
        "logical_not", [dtype] { return logical_not(of({2}, dtype)); },
        format("logical_not: a is {}, but must be bool; compare it with 0", dtype));
    list.add<DTypeError>(
        "where", [dtype] { return where(of({2}, dtype), of({2}), of({2})); },
        format("where: condition is {}, but must be bool, where true takes from a; compare it "
               "with 0",
               dtype));
    list.add<DTypeError>(
        "masked_fill", [dtype] { return masked_fill(of({2}), of({2}, dtype), 0); },
        format("masked_fill: mask is {}, but must be bool, where true is filled; compare it with 0",
               dtype));
  }
  list.add<DTypeError>(
      "where", [] { return where(of({2}, DType::boolean), of({2}), of({2}, DType::f64)); },
      "where: a is f32, but b is f64; convert one with .to(dtype)");
  list.add<ShapeError>(
      "where", [] { return where(of({2}, DType::boolean), of({2}), of({3})); },
      "where: shapes (2) and (3) do not broadcast: axis -1 has sizes 2 and 3");
  list.add<ShapeError>(
      "where",
      [] {
        return where(of({4}, DType::boolean), of({2, 3}), of({3}));
      },
      "where: shapes (4) and (2, 3) do not broadcast: axis -1 has sizes 4 and 3");
  list.add<ShapeError>(
      "masked_fill",
      [] {
        return masked_fill(of({2, 3}), of({2}, DType::boolean), 0);
      },
      "where: shapes (2) and (2, 3) do not broadcast: axis -1 has sizes 2 and 3");
}

}  // namespace

std::vector<Rejection> rejected_elementwise() {
  Rejections list;
  add_floating_functions(list);
  add_arithmetic(list);
  add_binary(list);
  add_comparisons(list);
  add_logic(list);
  return list.take();
}

}  // namespace tessera::testing
