#include "autograd/gradcheck.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/ops/creation.h"
#include "tensor/ops/random.h"

namespace tessera {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();

bool varies(const Tensor& x) { return x.defined() && is_floating(x.dtype()); }

/// s = sum v f, and the scale of its rounding error.
struct Projection {
  double value = 0, scale = 0;
};

Projection project(const Tensors& ys, const std::vector<std::vector<double>>& weights) {
  Projection p;
  for (size_t k = 0; k < ys.size(); ++k) {
    if (!varies(ys[k])) continue;
    const std::vector<double> y = ys[k].to_vector<double>();
    for (size_t i = 0; i < y.size(); ++i) {
      p.value += weights[k][i] * y[i];
      p.scale += std::fabs(weights[k][i]) * std::max(std::fabs(y[i]), 1.0);
    }
  }
  return p;
}

class Checker {
 public:
  explicit Checker(const GradcheckOptions& options) : options_(options) {
    if (options_.step == 0) options_.step = std::pow(kEps, 0.2);
  }

  /// Compares the first derivatives of f, which are derivatives of order `order` of the function
  /// that the user asked about.
  void check(const TensorFunction& f, const Tensors& inputs, int order) {
    Tensors leaves = inputs;
    for (Tensor& x : leaves) {
      if (varies(x)) x = requires_grad(x.detach());
    }
    Tensors ys;
    for (const Tensor& y : f(leaves)) {
      if (varies(y)) ys.push_back(y);
    }
    Tensors weights;
    std::vector<std::vector<double>> weight_values;
    for (size_t k = 0; k < ys.size(); ++k) {
      const RandomKey key = options_.key.fold(static_cast<uint64_t>(order)).fold(k);
      weights.push_back(normal(ys[k].shape(), key, {DType::f64}).to(ys[k].device()));
      weight_values.push_back(weights.back().to_vector<double>());
    }
    Tensors targets;
    for (const Tensor& x : leaves) {
      if (varies(x)) targets.push_back(x);
    }
    const Tensors found = grad(std::span<const Tensor>(ys), targets, {.gradients = weights});
    size_t next = 0;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (varies(inputs[i])) compare_input(f, inputs, i, found[next++], weight_values, order);
    }
    if (order >= options_.order) return;
    check(derivative_of(f, inputs.size()), with_weights(inputs, weights), order + 1);
  }

  GradcheckReport take_report() { return std::move(report_); }

 private:
  static Tensors with_weights(Tensors inputs, const Tensors& weights) {
    inputs.insert(inputs.end(), weights.begin(), weights.end());
    return inputs;
  }

  /// (x, v) -> the derivatives of sum v f(x) by x. The first `count` inputs are x.
  static TensorFunction derivative_of(const TensorFunction& f, size_t count) {
    return [f, count](const Tensors& in) {
      const auto middle = in.begin() + static_cast<std::ptrdiff_t>(count);
      Tensors xs(in.begin(), middle), targets, ys;
      bool again = false;
      for (const Tensor& x : in) again |= x.defined() && x.tracked();
      for (Tensor& x : xs) {
        if (!varies(x)) continue;
        if (!x.tracked()) x = requires_grad(x.detach());
        targets.push_back(x);
      }
      for (const Tensor& y : f(xs)) {
        if (varies(y)) ys.push_back(y);
      }
      return grad(std::span<const Tensor>(ys), targets,
                  {.gradients = Tensors(middle, in.end()), .create_graph = again});
    };
  }

  void compare_input(const TensorFunction& f, const Tensors& inputs, size_t i,
                     const Tensor& analytic, const std::vector<std::vector<double>>& weights,
                     int order) {
    const std::vector<double> expected = analytic.to_vector<double>();
    std::vector<double> values = inputs[i].to_vector<double>();
    for (int64_t element : chosen(static_cast<int64_t>(values.size()), i, order)) {
      double& x = values[static_cast<size_t>(element)];
      const double centre = x, h = options_.step * std::max(1.0, std::fabs(centre));
      auto at = [&](double offset) {
        x = centre + offset;
        Tensors moved = inputs;
        moved[i] = from_data(values, inputs[i].shape(), inputs[i].device());
        x = centre;
        return project(derived(f(moved)), weights);
      };
      const Projection far_left = at(-2 * h), left = at(-h), right = at(h), far_right = at(2 * h);
      const double three = (right.value - left.value) / (2 * h);
      const double five =
          (8 * (right.value - left.value) - (far_right.value - far_left.value)) / (12 * h);
      const double scale = std::max(left.scale, right.scale) + std::fabs(five);
      const double tolerance = 64 * kEps * scale / h + 1e-3 * std::fabs(five - three);
      note(order, i, element, expected[static_cast<size_t>(element)], five, tolerance);
    }
  }

  /// The outputs that are differentiated, without the others.
  static Tensors derived(const Tensors& ys) {
    Tensors kept;
    for (const Tensor& y : ys) {
      if (varies(y)) kept.push_back(y);
    }
    return kept;
  }

  std::vector<int64_t> chosen(int64_t count, size_t input, int order) const {
    std::vector<int64_t> all(static_cast<size_t>(count));
    for (int64_t e = 0; e < count; ++e) all[static_cast<size_t>(e)] = e;
    if (options_.max_elements <= 0 || count <= options_.max_elements) return all;
    RandomStream random(options_.key.fold(1000 + static_cast<uint64_t>(order)).fold(input));
    for (int64_t e = 0; e < options_.max_elements; ++e) {
      std::swap(all[static_cast<size_t>(e)],
                all[static_cast<size_t>(e + random.integer(count - e))]);
    }
    all.resize(static_cast<size_t>(options_.max_elements));
    return all;
  }

  void note(int order, size_t input, int64_t element, double analytic, double numeric,
            double tolerance) {
    ++report_.cases;
    double error = std::fabs(analytic - numeric) / tolerance;
    if (std::isnan(error)) error = std::numeric_limits<double>::infinity();
    if (report_.order != 0 && error <= report_.worst_error) return;
    report_.worst_error = error;
    report_.ok = error <= options_.slack;
    report_.order = order;
    report_.input = input;
    report_.element = element;
    report_.analytic = analytic;
    report_.numeric = numeric;
    report_.tolerance = tolerance;
  }

  GradcheckOptions options_;
  GradcheckReport report_;
};

}  // namespace

GradcheckReport gradcheck(const TensorFunction& f, const Tensors& inputs,
                          const GradcheckOptions& options) {
  check<ValueError>(options.order >= 1, "gradcheck: order is {}, but must be at least 1",
                    options.order);
  for (size_t i = 0; i < inputs.size(); ++i) {
    check<DTypeError>(!varies(inputs[i]) || inputs[i].dtype() == DType::f64,
                      "gradcheck: input {} is {}, in which differences say nothing; convert it "
                      "with .to(DType::f64)",
                      i, varies(inputs[i]) ? inputs[i].dtype() : DType::f64);
  }
  Checker checker(options);
  checker.check(f, inputs, 1);
  GradcheckReport report = checker.take_report();
  report.message = format(
      "gradcheck: {} derivatives compared, {}; worst at order {}, input {}, element {}: analytic "
      "{}, numeric {}, which is {} of the tolerance {}",
      report.cases, report.ok ? "all agree" : "they disagree", report.order, report.input,
      report.element, report.analytic, report.numeric, report.worst_error, report.tolerance);
  return report;
}

}  // namespace tessera
