#include "tensor/ops/update.h"

#include <limits>

#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/op_internal.h"

namespace tessera {

namespace {

void check_computes(std::string_view op, size_t i, const Tensor& x) {
  check<DTypeError>(x.dtype() == DType::f32 || x.dtype() == DType::f64,
                    "{}: tensor {} is {}, but must be f32 or f64", op, i, x.dtype());
}

void check_item(size_t i, const AdamWItem& item, const Device& device) {
  const Tensor& p = item.param;
  check<StateError>(item.grad.defined(),
                    "adamw_update: parameter {} {} has no gradient; was backward() called?", i,
                    p.shape());
  check_computes("adamw_update", i, p);
  check<DeviceError>(p.device() == device,
                     "adamw_update: parameter {} is on {}, but the first is on {}; update them in "
                     "two calls",
                     i, p.device(), device);
  const std::pair<const char*, const Tensor*> others[] = {
      {"grad", &item.grad}, {"m", &item.m}, {"v", &item.v}, {"average", &item.average}};
  for (const auto& [name, t] : others) {
    if (!t->defined() && t == &item.average) continue;
    check<ShapeError>(t->shape() == p.shape(),
                      "adamw_update: {} of parameter {} is {}, but it is {}", name, i, t->shape(),
                      p.shape());
    detail::check_alike("adamw_update", "the parameter", p, name, *t);
  }
  for (const Tensor* t : {&p, &item.m, &item.v, &item.average}) {
    if (!t->defined()) continue;
    detail::check_writable("adamw_update", *t);
    check<StateError>(t->is_contiguous(),
                      "adamw_update: parameter {} {} or a state of it is not contiguous", i,
                      p.shape());
  }
}

}  // namespace

void adamw_update(std::span<const AdamWItem> items, const AdamWOptions& options) {
  if (items.empty()) return;
  check<ValueError>(options.step >= 1, "adamw_update: step is {}, but counts from 1", options.step);
  for (const auto& [name, beta] :
       {std::pair("beta1", options.beta1), std::pair("beta2", options.beta2)}) {
    check<ValueError>(beta >= 0 && beta < 1, "adamw_update: {} is {}, but must be in [0, 1)", name,
                      beta);
  }
  const Device device = items[0].param.device();
  // Kept from step to step: hundreds of kilobytes that the heap would ask from the system, and give
  // back, each time.
  thread_local std::vector<AdamWTensor> list;
  list.clear();
  Tensors kept;  // contiguous copies of gradients
  for (size_t i = 0; i < items.size(); ++i) {
    const AdamWItem& item = items[i];
    check_item(i, item, device);
    if (item.param.numel() == 0) continue;
    ConstView grad = item.grad.view();
    if (!item.grad.is_contiguous()) {
      kept.push_back(item.grad.detach().contiguous());
      grad = kept.back().view();
    }
    list.push_back({item.param.mutable_view(), grad, item.m.mutable_view(), item.v.mutable_view(),
                    item.average.defined() ? item.average.mutable_view() : View{}, item.lr,
                    item.weight_decay});
  }
  AdamWArgs args{.beta1 = options.beta1,
                 .beta2 = options.beta2,
                 .eps = options.eps,
                 .step = options.step,
                 .average_decay = options.average_decay,
                 .grad_scale = {}};
  if (options.grad_scale.defined()) {
    check<ShapeError>(options.grad_scale.numel() == 1,
                      "adamw_update: grad_scale is {}, but must be a scalar",
                      options.grad_scale.shape());
    check_computes("adamw_update: grad_scale", 0, options.grad_scale);
    detail::check_same_device("adamw_update", "grad_scale", options.grad_scale, "the parameters",
                              items[0].param);
    args.grad_scale = options.grad_scale.view();
  }
  if (!list.empty()) detail::backend_of(items[0].param).adamw(list, args);
  for (const AdamWItem& item : items) {
    for (const Tensor* t : {&item.param, &item.m, &item.v, &item.average}) {
      if (t->defined()) t->mark_changed("adamw_update");
    }
  }
}

Tensor global_norm(std::span<const Tensor> tensors) {
  if (tensors.empty()) return scalar(0);
  std::vector<ConstView> views;
  views.reserve(tensors.size());
  Tensors kept;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& t = tensors[i];
    check_computes("global_norm", i, t);
    if (i > 0) detail::check_alike("global_norm", "the first tensor", tensors[0], "another", t);
    if (t.numel() == 0) continue;
    if (t.is_contiguous()) {
      views.push_back(t.view());
    } else {
      kept.push_back(t.detach().contiguous());
      views.push_back(kept.back().view());
    }
  }
  const Tensor y = empty({}, tensors[0].options());
  detail::backend_of(y).global_norm(views, y.mutable_view());
  return y;
}

Tensor clip_scale(const Tensor& norm, double max_norm) {
  check<ValueError>(max_norm > 0, "clip_scale: max_norm is {}, but must be positive", max_norm);
  detail::check_family_floating("clip_scale", "norm", norm);
  const Tensor n = norm.detach();
  const Tensor scale = clamp(reciprocal(n + 1e-6) * max_norm, 0, 1);
  return where(n < std::numeric_limits<double>::infinity(), scale, scalar(0, n.options()));
}

}  // namespace tessera
