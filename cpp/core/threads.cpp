#include "core/threads.hpp"

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <signal.h>
#define GU_HAS_FORK 1
#endif
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace gu {
namespace {

// Ops follow one another within microseconds, so a waiting thread stays awake this long before it
// parks.
constexpr auto kSpin = std::chrono::microseconds(50);
constexpr auto kYieldAfter = std::chrono::microseconds(8);

inline void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Returns the first value of `word` that differs from `old`: spins first, then sleeps in the
// kernel.
uint32_t await_change(const std::atomic<uint32_t>& word, uint32_t old) {
  const auto start = std::chrono::steady_clock::now();
  for (std::chrono::nanoseconds waited{0}; waited < kSpin;) {
    for (int i = 0; i < 32; ++i) {
      const uint32_t now = word.load(std::memory_order_acquire);
      if (now != old) return now;
      pause();
    }
    waited = std::chrono::steady_clock::now() - start;
    // The thread waited for may have been put on this very core: let it run.
    if (waited > kYieldAfter) std::this_thread::yield();
  }
  word.wait(old, std::memory_order_acquire);
  return word.load(std::memory_order_acquire);
}

int current_core() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

// Some schedulers (those of virtual machines above all) wake a worker on its caller's core and
// leave it there while other cores idle. A worker that finds itself so keeps off that core from
// then on.
void keep_off([[maybe_unused]] int core) {
#if defined(__linux__)
  static const cpu_set_t allowed = [] {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) CPU_ZERO(&set);
    return set;
  }();
  cpu_set_t others = allowed;
  CPU_CLR(core, &others);
  if (CPU_COUNT(&others) > 0) sched_setaffinity(0, sizeof(others), &others);
#endif
}

struct Job {
  detail::PartFunction function;
  void* context;
  int parts;
  int threads;
  int caller_core;
  std::atomic<bool> failed{false};
  std::exception_ptr error;  // written by the thread that set `failed`

  void run_share(int thread) noexcept {
    try {
      for (int part = thread; part < parts && !failed.load(std::memory_order_relaxed);
           part += threads) {
        function(context, part);
      }
    } catch (...) {
      if (!failed.exchange(true)) error = std::current_exception();
    }
  }
};

struct Pool {
  // A worker has its own ticket, so a job wakes the workers it needs and touches no others.
  struct alignas(64) Worker {
    std::atomic<uint32_t> ticket{0};
  };

  std::atomic<bool> busy{false};  // its holder owns everything below
  int started = 0;
  Job* job = nullptr;
  alignas(64) std::atomic<uint32_t> unfinished{0};
  Worker workers[kMaxThreads - 1];

  void work(int index) {
    Worker& self = workers[index];
    for (uint32_t seen = 0;;) {
      seen = await_change(self.ticket, seen);
      if (job->caller_core >= 0 && job->caller_core == current_core()) keep_off(job->caller_core);
      job->run_share(index + 1);
      if (unfinished.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished.notify_one();
    }
  }

  void start_workers(int wanted);

  void run(Job& next) {
    start_workers(std::min(next.parts, next.threads) - 1);
    // Where the system gives fewer threads than asked for, those there are do all the parts.
    next.threads = std::min({next.parts, next.threads, started + 1});
    const int helpers = next.threads - 1;
    job = &next;
    unfinished.store(static_cast<uint32_t>(helpers), std::memory_order_relaxed);
    for (int i = 0; i < helpers; ++i) {
      workers[i].ticket.fetch_add(1, std::memory_order_acq_rel);
      workers[i].ticket.notify_one();
    }
    next.run_share(0);
    uint32_t left = unfinished.load(std::memory_order_acquire);
    while (left != 0) left = await_change(unfinished, left);
    job = nullptr;
  }
};

// Never destroyed: workers may still wait in it while the process exits.
Pool& pool() {
  static Pool* const instance = new Pool;
  return *instance;
}

#if GU_HAS_FORK
// Only the forking thread lives on in the child, so the child's pool starts again without workers.
// (A fork from inside a parallel body is not supported: the other parts of that loop would be
// lost.)
void forget_workers() {
  Pool& p = pool();
  for (int i = 0; i < p.started; ++i) p.workers[i].ticket.store(0, std::memory_order_relaxed);
  p.started = 0;
  p.job = nullptr;
  p.unfinished.store(0, std::memory_order_relaxed);
  p.busy.store(false, std::memory_order_release);
}
#endif

void Pool::start_workers(int wanted) {
  if (started >= wanted) return;
#if GU_HAS_FORK
  static const int registered = pthread_atfork(nullptr, nullptr, forget_workers);
  if (registered != 0)
    return;  // without the handler a forked child would wait for workers it lacks
  // Workers block signals, so that Ctrl-C reaches the thread that can act on it.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
  try {
    for (; started < wanted; ++started) {
      std::thread([this, index = started] { work(index); }).detach();
    }
  } catch (const std::system_error&) {
    // The process may have no more threads: carry on with those there are.
  }
#if GU_HAS_FORK
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
#endif
}

int available_threads() {
  int n = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) n = CPU_COUNT(&allowed);
#endif
  return std::clamp(n, 1, kMaxThreads);
}

int initial_threads() {
  const char* text = std::getenv("GROUNDUP_NUM_THREADS");
  if (text == nullptr || *text == '\0') return available_threads();
  const std::string_view value(text);
  int n = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
  if (error != std::errc() || end != value.data() + value.size() || n < 1 || n > kMaxThreads) {
    throw std::invalid_argument("[num_threads] GROUNDUP_NUM_THREADS must be an integer from 1 to " +
                                std::to_string(kMaxThreads) + ", but got '" + std::string(value) +
                                "'");
  }
  return n;
}

std::atomic<int> thread_count{0};  // 0 until first asked for

}  // namespace

int num_threads() {
  int n = thread_count.load(std::memory_order_relaxed);
  if (n == 0) {
    const int first = initial_threads();
    // A set_num_threads that came meanwhile wins.
    n = thread_count.compare_exchange_strong(n, first, std::memory_order_relaxed) ? first : n;
  }
  return n;
}

void set_num_threads(int n) {
  if (n < 1 || n > kMaxThreads) {
    throw std::invalid_argument("[set_num_threads] n must be from 1 to " +
                                std::to_string(kMaxThreads) + ", but got " + std::to_string(n));
  }
  thread_count.store(n, std::memory_order_relaxed);
}

void detail::run_parts(int parts, PartFunction function, void* context) {
  if (parts <= 0) return;
  Job job{function, context, parts, num_threads(), current_core(), false, nullptr};
  Pool& p = pool();
  const bool alone = parts == 1 || job.threads == 1;
  if (alone || p.busy.exchange(true, std::memory_order_acquire)) {
    for (int part = 0; part < parts; ++part) function(context, part);
    return;
  }
  p.run(job);
  p.busy.store(false, std::memory_order_release);
  if (job.error) std::rethrow_exception(job.error);
}

}  // namespace gu
