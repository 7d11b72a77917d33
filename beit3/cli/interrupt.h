#pragma once

namespace tessera::beit3::cli {

/// While one lives, Ctrl-C and SIGTERM only leave a note, so that a step can be finished and saved.
/// A second Ctrl-C ends the program at once. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// True once somebody asked to stop.
  bool interrupted() const;
};

}  // namespace tessera::beit3::cli
