#include "beit3/cli/interrupt.h"

#include <csignal>

namespace tessera::beit3::cli {
namespace {

volatile std::sig_atomic_t asked_to_stop = 0;

void on_signal(int number) {
  asked_to_stop = 1;
  std::signal(number, SIG_DFL);  // the second one is meant in earnest
}

}  // namespace

InterruptGuard::InterruptGuard() {
  asked_to_stop = 0;
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

InterruptGuard::~InterruptGuard() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

bool InterruptGuard::interrupted() const { return asked_to_stop != 0; }

}  // namespace tessera::beit3::cli
