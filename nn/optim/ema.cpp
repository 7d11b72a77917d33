#include "nn/optim/ema.h"

#include "autograd/grad_mode.h"
#include "tensor/ops/cast.h"
#include "tensor/ops/elementwise.h"

namespace tessera::nn {

Ema::Ema(const Module& module, double decay) : decay_(decay), average_(clone(module.state())) {
  check<ValueError>(decay >= 0 && decay < 1, "ema: decay is {}, but must be in [0, 1)", decay);
}

void Ema::update(const Module& module) {
  const NoGrad guard;
  const StateDict now = module.state();
  check<StateError>(now.size() == average_.size(),
                    "ema: the module has {} names, but the average {}", now.size(),
                    average_.size());
  for (const auto& [name, value] : now) {
    const auto found = average_.find(name);
    check<StateError>(found != average_.end(), "ema: \"{}\" is not part of the average", name);
    const Tensor& a = found->second;
    copy_into(is_floating(a.dtype()) ? a * decay_ + value * (1 - decay_) : value, a);
  }
}

void Ema::copy_to(Module& module) const { load_state(module.state(), average_, "ema"); }

void Ema::load(const StateDict& state) { load_state(average_, state, "ema"); }

}  // namespace tessera::nn
