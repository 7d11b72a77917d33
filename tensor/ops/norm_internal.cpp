#include "tensor/ops/norm_internal.h"

#include "tensor/ops/cast.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/op_internal.h"

namespace tessera::detail {

void check_norm(std::string_view op, const Tensor& x, const RowGroups& groups,
                std::span<const Tensor> gammas, std::span<const Tensor> betas, double eps) {
  check_floating(op, "x", x);
  check<ShapeError>(x.rank() >= 1, "{}: x is {}, but must be (..., C)", op, x.shape());
  check<ValueError>(eps >= 0, "{}: eps is {}, but must be at least 0", op, eps);
  check<ShapeError>(!gammas.empty(), "{}: no gamma", op);
  check<ShapeError>(gammas.size() == betas.size(), "{}: {} gammas, but {} betas", op, gammas.size(),
                    betas.size());
  if (groups.size() > 1) check_rank(op, "x", x, 2, "(N, C) to be cut into ranges of rows");
  const int64_t width = x.size(-1);
  int64_t rows = 1;
  for (int i = 0; i + 1 < x.rank(); ++i) rows *= x.shape()[i];
  check_groups(op, groups, gammas.size(), rows);
  for (size_t i = 0; i < gammas.size(); ++i) {
    for (const auto& [name, p] : {std::pair("gamma", &gammas[i]), std::pair("beta", &betas[i])}) {
      check<ShapeError>(p->rank() == 1 && p->size(0) == width,
                        "{}: {} is {}, but the last axis of x {} is {}", op, name, p->shape(),
                        x.shape(), width);
      check_parameter(op, name, *p, x);
    }
  }
}

NormParameters::NormParameters(const RowGroups& groups, std::span<const Tensor> gammas,
                               std::span<const Tensor> betas) {
  views_.resize(groups.size());
  auto view_of = [&](const Tensor& p) {
    if (p.is_contiguous()) return p.view();
    kept_.push_back(clone(p.detach()));
    return kept_.back().view();
  };
  for (size_t i = 0; i < groups.size(); ++i) {
    views_[i].row_end = groups.end(i);
    views_[i].gamma = view_of(gammas[i]);
    if (i < betas.size()) views_[i].beta = view_of(betas[i]);
  }
}

NormSinks::NormSinks(const RowGroups& groups, std::span<const Tensor> gammas,
                     std::span<const kernels::Sink> gamma_sinks,
                     std::span<const kernels::Sink> beta_sinks) {
  const size_t n = groups.size();
  dgamma.resize(n);
  dbeta.resize(n);
  views_.resize(n);
  auto place = [&](std::span<const kernels::Sink> sinks, size_t i, Tensor& fresh, View& view,
                   bool& accumulate) {
    if (i >= sinks.size() || !sinks[i].wanted) return;
    const kernels::Sink& sink = sinks[i];
    accumulate = sink.into.defined() && sink.accumulate;
    if (sink.into.defined()) {
      written_.push_back(sink.into);
    } else {
      fresh = empty_like(gammas[i]);
    }
    view = (sink.into.defined() ? sink.into : fresh).mutable_view();
  };
  for (size_t i = 0; i < n; ++i) {
    NormGroupGrad& grad = views_[i];
    place(gamma_sinks, i, dgamma[i], grad.dgamma, grad.accumulate_gamma);
    place(beta_sinks, i, dbeta[i], grad.dbeta, grad.accumulate_beta);
  }
}

void NormSinks::finish(const char* op) const {
  for (const Tensor& t : written_) t.mark_changed(op);
}

Tensors norm_inputs(std::initializer_list<Tensor> first, const RowGroups& groups,
                    std::span<const Tensor> gammas, std::span<const Tensor> betas) {
  Tensors inputs;
  inputs.reserve(first.size() + gammas.size() + betas.size());
  inputs.insert(inputs.end(), first.begin(), first.end());
  for (std::span<const Tensor> parameters : {gammas, betas}) {
    for (size_t i = 0; i < parameters.size(); ++i) {
      inputs.push_back(recorded_parameter(groups, i, parameters[i]));
    }
  }
  return inputs;
}

}  // namespace tessera::detail
