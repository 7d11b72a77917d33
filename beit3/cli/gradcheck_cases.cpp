#include "beit3/cli/gradcheck_cases.h"

#include "tensor/ops/ops.h"

namespace tessera::beit3::cli {
namespace {

/// Makes inputs, each from a key of its own.
class Inputs {
 public:
  explicit Inputs(RandomKey key) : key_(key) {}

  Tensor normal(const Shape& shape) {
    return drawn(shape, [](RandomStream& s) { return s.normal(); });
  }
  Tensor between(double low, double high, const Shape& shape) {
    return drawn(shape, [=](RandomStream& s) { return s.uniform(low, high); });
  }
  /// Away from 0, where |x| and relu have a corner.
  Tensor cornerless(const Shape& shape) {
    return drawn(shape,
                 [](RandomStream& s) { return (s.chance(0.5) ? 1 : -1) * s.uniform(0.2, 2); });
  }

 private:
  template <class F>
  Tensor drawn(const Shape& shape, F draw) {
    RandomStream stream(key_.fold(count_++));
    std::vector<double> values;
    for (int64_t i = 0; i < numel(shape); ++i) values.push_back(draw(stream));
    return from_data(values, shape);
  }

  RandomKey key_;
  uint64_t count_ = 0;
};

Tensor ids(std::vector<int64_t> values) {
  const auto n = static_cast<int64_t>(values.size());
  return from_data(values, {n});
}

using List = std::vector<GradcheckCase>;

void unary(List& list, Inputs& in) {
  using F = Tensor (*)(const Tensor&);
  auto add_case = [&](std::string name, F f, Tensor x) {
    list.push_back(
        {std::move(name), [f](const Tensors& t) -> Tensors { return {f(t[0])}; }, {std::move(x)}});
  };
  add_case("neg", neg, in.normal({2, 3}));
  add_case("abs", abs, in.cornerless({2, 3}));
  add_case("exp", exp, in.normal({2, 3}));
  add_case("log", log, in.between(0.5, 3, {2, 3}));
  add_case("sqrt", sqrt, in.between(0.5, 3, {2, 3}));
  add_case("rsqrt", rsqrt, in.between(0.5, 3, {2, 3}));
  add_case("reciprocal", reciprocal, in.cornerless({2, 3}));
  add_case("square", square, in.normal({2, 3}));
  add_case("sin", sin, in.normal({2, 3}));
  add_case("cos", cos, in.normal({2, 3}));
  add_case("tanh", tanh, in.normal({2, 3}));
  add_case("sigmoid", sigmoid, in.normal({2, 3}));
  add_case("softplus", softplus, in.normal({2, 3}));
  add_case("relu", relu, in.cornerless({2, 3}));
  add_case("erf", erf, in.normal({2, 3}));
  add_case("gelu", gelu, in.normal({2, 3}));
  list.push_back({"pow",
                  [](const Tensors& t) -> Tensors { return {pow(t[0], 1.7)}; },
                  {in.between(0.5, 3, {2, 3})}});
  list.push_back({"clamp",
                  [](const Tensors& t) -> Tensors { return {clamp(t[0], -3, 3)}; },
                  {in.between(-2, 2, {2, 3})}});
}

void binary(List& list, Inputs& in) {
  using F = Tensor (*)(const Tensor&, const Tensor&);
  auto add_case = [&](std::string name, F f, Tensor a, Tensor b) {
    list.push_back({std::move(name),
                    [f](const Tensors& t) -> Tensors { return {f(t[0], t[1])}; },
                    {std::move(a), std::move(b)}});
  };
  add_case("add", add, in.normal({2, 3}), in.normal({3}));
  add_case("sub", sub, in.normal({2, 1}), in.normal({3}));
  add_case("mul", mul, in.normal({2, 3}), in.normal({2, 1}));
  add_case("div", div, in.normal({2, 3}), in.cornerless({3}));
  add_case("maximum", maximum, in.between(0, 1, {2, 3}), in.between(1.2, 2, {2, 3}));
  add_case("minimum", minimum, in.between(0, 1, {2, 3}), in.between(1.2, 2, {2, 3}));
  list.push_back(
      {"where",
       [](const Tensors& t) -> Tensors { return {where(t[0].detach() > 0.0, t[0] * t[0], t[1])}; },
       {in.cornerless({2, 3}), in.normal({2, 3})}});
}

void reductions_and_shapes(List& list, Inputs& in) {
  auto add_case = [&](std::string name, Tensor (*f)(const Tensor&), Tensor x) {
    list.push_back(
        {std::move(name), [f](const Tensors& t) -> Tensors { return {f(t[0])}; }, {std::move(x)}});
  };
  add_case(
      "sum", [](const Tensor& x) { return sum(x, {1}); }, in.normal({2, 3, 2}));
  add_case(
      "mean", [](const Tensor& x) { return square(mean(x, {0})); }, in.normal({2, 3}));
  add_case(
      "max", [](const Tensor& x) { return max(x, {1}); }, in.normal({3, 4}));
  add_case(
      "min", [](const Tensor& x) { return min(x, {1}); }, in.normal({3, 4}));
  add_case(
      "var", [](const Tensor& x) { return var(x, {1}); }, in.normal({2, 4}));
  add_case(
      "logsumexp", [](const Tensor& x) { return logsumexp(x, {1}); }, in.normal({2, 4}));
  add_case(
      "softmax", [](const Tensor& x) { return softmax(x); }, in.normal({2, 4}));
  add_case(
      "log_softmax", [](const Tensor& x) { return log_softmax(x); }, in.normal({2, 4}));
  add_case(
      "reshape",
      [](const Tensor& x) {
        return square(reshape(x, {3, 2}));
      },
      in.normal({2, 3}));
  add_case(
      "permute",
      [](const Tensor& x) {
        return square(permute(x, {2, 0, 1}));
      },
      in.normal({2, 3, 2}));
  add_case(
      "expand",
      [](const Tensor& x) {
        return square(expand(x, {2, 3}));
      },
      in.normal({1, 3}));
  add_case(
      "slice", [](const Tensor& x) { return square(slice(x, 1, 1, 4, 2)); }, in.normal({2, 4}));
  list.push_back({"concat",
                  [](const Tensors& t) -> Tensors { return {square(concat(t, 1))}; },
                  {in.normal({2, 2}), in.normal({2, 3})}});
  add_case(
      "index_select",
      [](const Tensor& x) {
        return square(index_select(x, ids({2, 0, 2})));
      },
      in.normal({3, 2}));
  add_case(
      "embedding",
      [](const Tensor& x) {
        return square(embedding(x, ids({1, 1, 3})));
      },
      in.normal({4, 2}));
  add_case(
      "dropout", [](const Tensor& x) { return square(dropout(x, 0.4, RandomKey{3})); },
      in.normal({3, 3}));
}

void products(List& list, Inputs& in) {
  list.push_back({"matmul",
                  [](const Tensors& t) -> Tensors { return {matmul(t[0], t[1])}; },
                  {in.normal({2, 3}), in.normal({3, 2})}});
  list.push_back({"matmul, transposed",
                  [](const Tensors& t) -> Tensors {
                    return {matmul(t[0], t[1], {.transpose_a = true, .transpose_b = true})};
                  },
                  {in.normal({2, 3, 2}), in.normal({2, 2, 3})}});
  list.push_back({"linear",
                  [](const Tensors& t) -> Tensors { return {linear(t[0], t[1], t[2])}; },
                  {in.normal({3, 2}), in.normal({4, 2}), in.normal({4})}});
  list.push_back(
      {"grouped_linear",
       [](const Tensors& t) -> Tensors {
         return {grouped_linear(t[0], {{2, 3}}, Tensors{t[1], t[2]}, Tensors{t[3], t[4]})};
       },
       {in.normal({3, 2}), in.normal({2, 2}), in.normal({2, 2}), in.normal({2}), in.normal({2})}});
}

void fused(List& list, Inputs& in) {
  list.push_back({"layer_norm",
                  [](const Tensors& t) -> Tensors { return {layer_norm(t[0], t[1], t[2])}; },
                  {in.normal({2, 4}), in.normal({4}), in.normal({4})}});
  list.push_back({"add_layer_norm",
                  [](const Tensors& t) -> Tensors {
                    const SumAndNorm y = add_layer_norm(t[0], t[1], t[2], {{1, 3}},
                                                        Tensors{t[3], t[4]}, Tensors{t[5], t[6]});
                    return {y.sum, y.norm};
                  },
                  {in.normal({3, 4}), in.normal({3, 4}), in.between(0.5, 1.5, {3}), in.normal({4}),
                   in.normal({4}), in.normal({4}), in.normal({4})}});
  list.push_back(
      {"gelu_layer_norm",
       [](const Tensors& t) -> Tensors {
         return {gelu_layer_norm(t[0], {{1, 3}}, Tensors{t[1], t[2]}, Tensors{t[3], t[4]})};
       },
       {in.normal({3, 4}), in.normal({4}), in.normal({4}), in.normal({4}), in.normal({4})}});
  list.push_back({"segmented_attention",
                  [](const Tensors& t) -> Tensors {
                    return {segmented_attention(t[0], Segments::uniform(2, 3))};
                  },
                  {in.normal({6, 3, 2, 2})}});
  list.push_back({"cross_entropy",
                  [](const Tensors& t) -> Tensors {
                    return {cross_entropy(t[0], ids({1, 0, 3}))};
                  },
                  {in.normal({3, 4})}});
  list.push_back({"linear_cross_entropy",
                  [](const Tensors& t) -> Tensors {
                    return {linear_cross_entropy(t[0], t[1], t[2], ids({1, 0, 3}))};
                  },
                  {in.normal({3, 2}), in.normal({4, 2}), in.normal({4})}});
}

}  // namespace

std::vector<GradcheckCase> gradcheck_cases(RandomKey key) {
  List list;
  Inputs in(key);
  unary(list, in);
  binary(list, in);
  reductions_and_shapes(list, in);
  products(list, in);
  fused(list, in);
  return list;
}

}  // namespace tessera::beit3::cli
