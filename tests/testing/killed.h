#pragma once

#include <csignal>
#include <cstdint>
#include <functional>

#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tessera::testing {

/// Runs `work` in a process of its own and kills it (SIGKILL) at a stop: just before or just after
/// a call to the system, the first being stop 1. Work that makes fewer of them ends by itself.
/// Returns whether it was killed.
///
/// The process is a copy of this one's calling thread: `work` may use no other.
inline bool killed_at(int64_t stop, const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    std::raise(SIGSTOP);
    try {
      work();
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  EXPECT_GT(child, 0);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) || WIFSIGNALED(status)) {
    ADD_FAILURE() << "the process could not be traced";
    return false;
  }
  ::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  for (int64_t n = 0; n < stop; ++n) {
    ::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the work failed by itself";
      return false;
    }
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
  return true;
}

/// Kills `work` at every stop in turn, starting from what `prepare` makes, and looks at what it
/// left with `inspect`. Returns the number of kills.
inline int64_t kill_everywhere(const std::function<void()>& prepare,
                               const std::function<void()>& work,
                               const std::function<void()>& inspect) {
  for (int64_t stop = 1;; ++stop) {
    SCOPED_TRACE(::testing::Message() << "killed at stop " << stop);
    prepare();
    const bool killed = killed_at(stop, work);
    inspect();
    if (!killed || ::testing::Test::HasFailure()) return stop - 1;
  }
}

}  // namespace tessera::testing
