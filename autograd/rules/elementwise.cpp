#include "tensor/ops/elementwise.h"

#include "autograd/rule_table.h"
#include "tensor/ops/creation.h"

namespace tessera {
namespace {

constexpr double kTwoOverSqrtPi = 1.12837916709551257390;

Tensor zero_like(const Tensor& g) { return scalar(0, g.options()); }

/// g where the mask is true.
Tensor masked(const Tensor& mask, const Tensor& g) { return where(mask, g, zero_like(g)); }

/// g times a number, without a pass if the number is 1.
Tensor times(const Tensor& g, double factor) { return factor == 1 ? g : g * factor; }

void add_functions(RuleTable& table) {
  table.add<Unary<Neg>>(Save::none, [](const Op&, Saved&, Tensor g) { return Tensors{-g}; });
  table.add<Unary<Abs>>(
      Save::inputs, [](const Op&, Saved& s, Tensor g) { return Tensors{g * sign(s.input(0))}; });
  // Flat wherever it is differentiable.
  table.add<Unary<Sign>>(Save::none, [](const Op&, Saved&, Tensor) { return Tensors(1); });
  table.add<Unary<Exp>>(Save::output,
                        [](const Op&, Saved& s, Tensor g) { return Tensors{g * s.output()}; });
  table.add<Unary<Log>>(Save::inputs,
                        [](const Op&, Saved& s, Tensor g) { return Tensors{g / s.input(0)}; });
  // y = sqrt(x): dy = dx / (2 y)
  table.add<Unary<Sqrt>>(
      Save::output, [](const Op&, Saved& s, Tensor g) { return Tensors{g * 0.5 / s.output()}; });
  // y = x^(-1/2): dy = -y^3 / 2 dx
  table.add<Unary<Rsqrt>>(Save::output, [](const Op&, Saved& s, Tensor g) {
    const Tensor y = s.output();
    return Tensors{g * (square(y) * y * -0.5)};
  });
  table.add<Unary<Reciprocal>>(
      Save::output, [](const Op&, Saved& s, Tensor g) { return Tensors{g * -square(s.output())}; });
  table.add<Unary<Square>>(
      Save::inputs, [](const Op&, Saved& s, Tensor g) { return Tensors{g * (s.input(0) * 2)}; });
  table.add<Unary<Sin>>(Save::inputs,
                        [](const Op&, Saved& s, Tensor g) { return Tensors{g * cos(s.input(0))}; });
  table.add<Unary<Cos>>(
      Save::inputs, [](const Op&, Saved& s, Tensor g) { return Tensors{g * -sin(s.input(0))}; });
  table.add<Unary<Tanh>>(Save::output, [](const Op&, Saved& s, Tensor g) {
    return Tensors{g * (1 - square(s.output()))};
  });
  table.add<Unary<Sigmoid>>(Save::output, [](const Op&, Saved& s, Tensor g) {
    const Tensor y = s.output();
    return Tensors{g * (y * (1 - y))};
  });
  table.add<Unary<Softplus>>(
      Save::inputs, [](const Op&, Saved& s, Tensor g) { return Tensors{g * sigmoid(s.input(0))}; });
  // The output tells as much as the input, and the next op mostly keeps it anyway.
  table.add<Unary<Relu>>(Save::output, [](const Op&, Saved& s, Tensor g) {
    return Tensors{masked(s.output() > 0, g)};
  });
  table.add<Unary<Erf>>(Save::inputs, [](const Op&, Saved& s, Tensor g) {
    return Tensors{g * (exp(-square(s.input(0))) * kTwoOverSqrtPi)};
  });
}

void add_gelu(RuleTable& table) {
  table.add_fused<Unary<Gelu>>(
      Save::inputs,
      [](const Unary<Gelu>&, Saved& s, Tensor& g) -> std::optional<Tensors> {
        const Tensor x = s.input(0);
        const bool in_place = reusable(g);
        const Tensor rows = g.contiguous(), dense = x.detach().contiguous();
        const Tensor dx = in_place ? g : empty_like(rows);
        if (!g.storage()->backend().try_gelu_backward(rows.view(), dense.view(),
                                                      dx.mutable_view())) {
          return std::nullopt;
        }
        if (in_place) dx.mark_changed("gelu_backward");
        return Tensors{dx};
      },
      [](const Unary<Gelu>&, Saved& s, Tensor g) { return Tensors{g * gelu_grad(s.input(0))}; });

  // d (Phi(x) + x phi(x)) = phi(x) (2 - x^2) dx
  table.add<Unary<GeluGrad>>(Save::inputs, [](const Op&, Saved& s, Tensor g) {
    const Tensor squared = square(s.input(0));
    return Tensors{g * (exp(squared * -0.5) * kInvSqrtTwoPi * (2 - squared))};
  });
}

void add_with_constants(RuleTable& table) {
  table.add<Unary<AddScalar>>(Save::none, [](const Op&, Saved&, Tensor g) { return Tensors{g}; });
  table.add<Unary<MulScalar>>(Save::none, [](const Unary<MulScalar>& op, Saved&, Tensor g) {
    return Tensors{times(g, op.f.p0)};
  });
  table.add<Unary<PowScalar>>(Save::inputs, [](const Unary<PowScalar>& op, Saved& s, Tensor g) {
    const double p = op.f.p0;
    if (p == 0) return Tensors(1);  // 0 * x^-1 would be NaN at 0
    if (p == 1) return Tensors{g};
    return Tensors{g * times(p == 2 ? s.input(0) : pow(s.input(0), p - 1), p)};
  });
  table.add<Unary<Clamp>>(Save::inputs, [](const Unary<Clamp>& op, Saved& s, Tensor g) {
    const Tensor x = s.input(0);
    return Tensors{masked(logical_and(x >= op.f.p0, x <= op.f.p1), g)};
  });
}

/// Of maximum (sign 1) and minimum (sign -1): the chosen side takes g, equal sides half each.
Tensors split_by_choice(Saved& s, const Tensor& g, bool larger) {
  const Tensor a = s.input(0), b = s.input(1);
  const Tensor first = larger ? a > b : a < b, second = larger ? a < b : a > b;
  const Tensor half = g * 0.5, zero = zero_like(g);
  Tensors results(2);
  if (s.needs(0)) results[0] = where(first, g, where(second, zero, half));
  if (s.needs(1)) results[1] = where(second, g, where(first, zero, half));
  return results;
}

void add_binary(RuleTable& table) {
  table.add<Binary<Add>>(Save::none, [](const Op&, Saved&, Tensor g) { return Tensors{g, g}; });
  table.add<Binary<Sub>>(Save::none, [](const Op&, Saved& s, Tensor g) {
    return Tensors{g, s.needs(1) ? -g : Tensor()};
  });
  table.add<Binary<Mul>>(Save::factors, [](const Op&, Saved& s, Tensor g) {
    Tensors results(2);
    if (s.needs(0)) results[0] = g * s.input(1);
    if (s.needs(1)) results[1] = g * s.input(0);
    return results;
  });
  // y = a / b: dy = da / b - y db / b
  table.add<Binary<Div>>(
      [](const Wanted& wanted, size_t) {
        return SavePlan{0b10, wanted[1] ? 1ull : 0};
      },
      [](const Op&, Saved& s, Tensor g) {
        const Tensor da = g / s.input(1);
        return Tensors{da, s.needs(1) ? -(da * s.output()) : Tensor()};
      });
  table.add<Binary<Maximum>>(
      Save::inputs, [](const Op&, Saved& s, Tensor g) { return split_by_choice(s, g, true); });
  table.add<Binary<Minimum>>(
      Save::inputs, [](const Op&, Saved& s, Tensor g) { return split_by_choice(s, g, false); });

  table.add<Where>(
      [](const Wanted&, size_t) {
        return SavePlan{0b1, 0};
      },
      [](const Op&, Saved& s, Tensor g) {
        const Tensor condition = s.input(0);
        Tensors results(3);
        if (s.needs(1)) results[1] = where(condition, g, zero_like(g));
        if (s.needs(2)) results[2] = where(condition, zero_like(g), g);
        return results;
      });
}

}  // namespace

void add_elementwise_rules(RuleTable& table) {
  add_functions(table);
  add_gelu(table);
  add_with_constants(table);
  add_binary(table);
}

}  // namespace tessera
