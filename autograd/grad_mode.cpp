#include "autograd/grad_mode.h"

namespace tessera {
namespace {
thread_local bool enabled = true;
}

bool grad_enabled() { return enabled; }

NoGrad::NoGrad() : before_(enabled) { enabled = false; }
NoGrad::~NoGrad() { enabled = before_; }

EnableGrad::EnableGrad() : before_(enabled) { enabled = true; }
EnableGrad::~EnableGrad() { enabled = before_; }

}  // namespace tessera
