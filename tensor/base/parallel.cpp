#include "tensor/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "tensor/base/error.h"

namespace tessera {
namespace {

/// Sets flush-to-zero and denormals-are-zero while it lives.
class DenormalsAreZero {
 public:
#if defined(__x86_64__)
  DenormalsAreZero() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040u); }
  ~DenormalsAreZero() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#endif
};

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

thread_local bool inside_body = false;

/// One parallel region. Threads take chunk numbers from `next` until none is left.
struct Job {
  Job(detail::ChunkBody b, void* c, int64_t n) : body(b), context(c), chunks(n) {}

  detail::ChunkBody body;
  void* context;
  int64_t chunks;
  alignas(64) std::atomic<int64_t> next{0};
  std::mutex error_mutex;
  std::exception_ptr error;

  void work() {
    const DenormalsAreZero flush;
    inside_body = true;
    for (;;) {
      const int64_t chunk = next.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= chunks) break;
      try {
        body(context, chunk);
      } catch (...) {
        const std::lock_guard lock(error_mutex);
        if (!error) error = std::current_exception();
      }
    }
    inside_body = false;
  }
};

/// Workers spin for a while after a job, since the next one usually follows at once; then they
/// yield; then they sleep.
///
/// A job is open from its start until its chunks are taken. Who comes later, because it had to be
/// woken or another program had its core, finds it closed and is not waited for.
class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { worker(); });
  }

  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (std::thread& t : workers_) t.join();
  }

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  void run(Job& job) {
    job_.store(&job, std::memory_order_relaxed);
    gate_.fetch_sub(kClosed, std::memory_order_release);
    bool anyone_sleeps;
    {
      const std::lock_guard lock(mutex_);
      generation_.fetch_add(1, std::memory_order_release);
      anyone_sleeps = sleepers_ > 0;
    }
    if (anyone_sleeps) wake_.notify_all();
    job.work();
    gate_.fetch_add(kClosed, std::memory_order_relaxed);
    int spins = 0;
    while (gate_.load(std::memory_order_acquire) != kClosed) {
      if (++spins < kSpins) {
        relax();
      } else {
        std::this_thread::yield();
      }
    }
  }

 private:
  static constexpr int kSpins = 4000, kYields = 200;
  static constexpr int kClosed = 1 << 16;

  void worker() {
    uint64_t seen = 0;
    for (;;) {
      wait_for_change(seen);
      seen = generation_.load(std::memory_order_acquire);
      if (stop_.load(std::memory_order_relaxed)) return;
      if (gate_.fetch_add(1, std::memory_order_acquire) < kClosed) {
        job_.load(std::memory_order_relaxed)->work();
      }
      gate_.fetch_sub(1, std::memory_order_release);
    }
  }

  void wait_for_change(uint64_t seen) {
    for (int i = 0; i < kSpins; ++i) {
      if (generation_.load(std::memory_order_acquire) != seen) return;
      relax();
    }
    for (int i = 0; i < kYields; ++i) {
      if (generation_.load(std::memory_order_acquire) != seen) return;
      std::this_thread::yield();
    }
    std::unique_lock lock(mutex_);
    ++sleepers_;
    wake_.wait(lock, [&] { return generation_.load(std::memory_order_relaxed) != seen; });
    --sleepers_;
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  int sleepers_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> generation_{0};
  std::atomic<Job*> job_{nullptr};
  /// Workers that are inside, plus kClosed while there is no job to work on.
  alignas(64) std::atomic<int> gate_{kClosed};
};

int default_threads() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, 256);
}

std::mutex pool_mutex;  // one region at a time; a second caller waits its turn
std::unique_ptr<Pool> pool;
std::atomic<int> wanted_threads{0};

}  // namespace

int thread_count() {
  const int wanted = wanted_threads.load(std::memory_order_relaxed);
  return wanted > 0 ? wanted : default_threads();
}

void set_thread_count(int threads) {
  check<ValueError>(threads >= 1 && threads <= 256, "set_thread_count: {} is not in 1 … 256",
                    threads);
  const std::lock_guard lock(pool_mutex);
  wanted_threads.store(threads, std::memory_order_relaxed);
  if (pool && pool->threads() != threads) pool.reset();
}

void detail::run_chunks(int64_t chunks, ChunkBody body, void* context) {
  if (chunks <= 0) return;
  if (chunks == 1 || inside_body || thread_count() == 1) {
    const DenormalsAreZero flush;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) body(context, chunk);
    return;
  }
  Job job(body, context, chunks);
  {
    const std::lock_guard lock(pool_mutex);
    if (!pool) pool = std::make_unique<Pool>(thread_count());
    pool->run(job);
  }
  if (job.error) std::rethrow_exception(job.error);
}

}  // namespace tessera
