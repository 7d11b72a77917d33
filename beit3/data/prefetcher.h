#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "tensor/base/error.h"

namespace tessera::beit3 {

struct PrefetchOptions {
  int threads = 1;         // 0: `next` makes each item itself
  int64_t depth = 4;       // at most so many items are made ahead
  int64_t first_step = 0;  // where to begin, after a resume
  int64_t end_step = -1;   // nothing is made from here on; -1: no end
};

/// Makes items ahead of time on threads and hands them out in the order of their steps.
///
/// make(step) must be a function of the step alone and safe to call from several threads; then what
/// `next` returns does not depend on the number of threads. An exception thrown by make(step) is
/// thrown by the call of `next` that would have returned that step. Destroying the prefetcher waits
/// for the calls of `make` that have begun.
template <class T>
class Prefetcher {
 public:
  Prefetcher(std::function<T(int64_t step)> make, const PrefetchOptions& options)
      : make_(std::move(make)),
        depth_(std::max<int64_t>(1, options.depth)),
        end_(options.end_step),
        claimed_(options.first_step),
        wanted_(options.first_step) {
    check<ValueError>(options.threads >= 0 && options.threads <= 1024 && options.first_step >= 0,
                      "Prefetcher: threads {}, first_step {}; expected 0 to 1024 and >= 0",
                      options.threads, options.first_step);
    try {
      for (int i = 0; i < options.threads; ++i) threads_.emplace_back([this] { work(); });
    } catch (...) {  // no more threads to be had
      stop();
      throw;
    }
  }

  ~Prefetcher() { stop(); }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// The item of the next step; waits for it. To be called from one thread at a time. Throws
  /// StateError past the end, or what make(step) threw (the step then counts as handed out).
  T next() {
    check<StateError>(end_ < 0 || wanted_ < end_, "Prefetcher: all steps up to {} are handed out",
                      end_);
    if (threads_.empty()) return make_(wanted_++);
    std::unique_lock lock(mutex_);
    made_.wait(lock, [this] { return ready_.count(wanted_) != 0; });
    auto node = ready_.extract(wanted_++);
    lock.unlock();
    room_.notify_all();
    if (node.mapped().error) std::rethrow_exception(node.mapped().error);
    return std::move(node.mapped().items.front());
  }

  /// The step that `next` will return.
  int64_t step() const { return wanted_; }

 private:
  struct Result {
    std::vector<T> items;  // one, or none beside an error: T need not be default-constructible
    std::exception_ptr error;
  };

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      room_.wait(lock, [this] { return stopping_ || claimed_ < wanted_ + depth_; });
      if (stopping_ || (end_ >= 0 && claimed_ >= end_)) return;
      const int64_t step = claimed_++;
      lock.unlock();
      Result result;
      try {
        result.items.push_back(make_(step));
      } catch (...) {
        result.error = std::current_exception();
      }
      lock.lock();
      ready_.emplace(step, std::move(result));
      made_.notify_one();
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    room_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  std::function<T(int64_t)> make_;
  int64_t depth_, end_;
  std::mutex mutex_;
  std::condition_variable made_, room_;
  std::map<int64_t, Result> ready_;
  int64_t claimed_, wanted_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;  // last: they use all of the above
};

}  // namespace tessera::beit3
