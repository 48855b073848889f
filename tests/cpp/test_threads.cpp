// The pool: splits, exceptions, nesting, two callers at once, parking and fork.
#include "core/threads.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "check.hpp"

using gu::parallel_for;
using gu::parallel_parts;
using gu::set_num_threads;

namespace {

// Runs `body` in a forked child; true if it returned true. A child that hangs is killed and counts
// as false.
template <class F>
bool in_child(F body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    bool good = false;
    try {
      good = body();
    } catch (...) {
    }
    _exit(good ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// How often each index of [0, n) was visited, as "exactly once" or not.
bool visits_each_once(int64_t n, int64_t grain) {
  std::vector<int> visits(static_cast<size_t>(n), 0);
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
  });
  for (int count : visits) {
    if (count != 1) return false;
  }
  return true;
}

// True if two parts were truly on two threads: each waits (for at most a minute) until the other
// has begun.
bool two_threads_meet() {
  std::atomic<int> arrived{0};
  std::atomic<bool> met{true};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  parallel_parts(2, [&](int) {
    arrived.fetch_add(1);
    while (arrived.load() < 2) {
      if (std::chrono::steady_clock::now() > deadline) {
        met = false;
        return;
      }
      std::this_thread::yield();
    }
  });
  return met;
}

std::set<std::pair<int64_t, int64_t>> ranges_of(int64_t n, int64_t grain) {
  std::mutex mutex;
  std::set<std::pair<int64_t, int64_t>> ranges;
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex);
    ranges.insert({begin, end});
  });
  return ranges;
}

}  // namespace

// First in the file: the variable is read once, so nothing may have asked for the count before.
TEST(environment_sets_the_count) {
  const auto with = [](const char* value, auto body) {
    return in_child([=] {
      setenv("GROUNDUP_NUM_THREADS", value, 1);
      return body();
    });
  };
  CHECK(with("3", [] { return gu::num_threads() == 3; }));
  CHECK(with("256", [] { return gu::num_threads() == 256; }));
  CHECK(with("", [] { return gu::num_threads() >= 1; }));
  for (const char* bad : {"0", "257", "-1", "two", "2x", " 2", "99999999999999999999"}) {
    CHECK(with(bad, [] {
      try {
        gu::num_threads();
      } catch (const std::invalid_argument& error) {
        return std::string(error.what())
                   .find("GROUNDUP_NUM_THREADS must be an integer from 1 to 256") !=
               std::string::npos;
      }
      return false;
    }));
  }
}

TEST(count_is_validated) {
  CHECK(gu::num_threads() >= 1);
  for (int bad : {0, -1, 257}) {
    CHECK_THROWS(set_num_threads(bad), std::invalid_argument,
                 "[set_num_threads] n must be from 1 to 256");
  }
  set_num_threads(256);
  CHECK(gu::num_threads() == 256);
  set_num_threads(1);
  CHECK(gu::num_threads() == 1);
}

TEST(splits_are_equal_and_respect_the_grain) {
  for (int threads : {1, 2, 3, 8}) {
    set_num_threads(threads);
    for (int64_t n : {0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 1000}) {
      for (int64_t grain : {0, 1, 3, 16, 2000}) {
        const int parts = gu::split_parts(n, grain);
        CHECK((parts == 0) == (n == 0));
        CHECK(parts <= threads);
        int64_t next = 0, shortest = n, longest = 0;
        for (int part = 0; part < parts; ++part) {
          const gu::Range range = gu::part_range(n, parts, part);
          CHECK(range.begin == next);
          next = range.end;
          shortest = std::min(shortest, range.end - range.begin);
          longest = std::max(longest, range.end - range.begin);
        }
        CHECK(next == n);
        CHECK(parts == 0 || longest - shortest <= 1);
        CHECK(parts <= 1 || shortest >= grain);
      }
    }
    CHECK(gu::split_parts(int64_t{1} << 62, 1) == threads);
    CHECK(gu::split_parts(-5, 1) == 0);
  }
}

TEST(every_index_is_visited_once) {
  for (int threads : {1, 2, 3, 4}) {
    set_num_threads(threads);
    for (int64_t n : {0, 1, 2, 3, 5, 100, 1001}) CHECK(visits_each_once(n, 1));
  }
}

TEST(parts_may_exceed_threads) {
  set_num_threads(3);
  for (int parts : {0, 1, 2, 3, 4, 5, 100}) {
    std::vector<std::atomic<int>> visits(static_cast<size_t>(parts));
    parallel_parts(parts, [&](int part) { ++visits[static_cast<size_t>(part)]; });
    for (const auto& count : visits) CHECK(count == 1);
  }
}

TEST(caller_does_part_zero) {
  set_num_threads(2);
  std::thread::id first;
  parallel_parts(2, [&](int part) {
    if (part == 0) first = std::this_thread::get_id();
  });
  CHECK(first == std::this_thread::get_id());
  CHECK(two_threads_meet());
}

TEST(exceptions_reach_the_caller) {
  set_num_threads(2);
  for (int repeat = 0; repeat < 200; ++repeat) {
    for (int thrower : {0, 1}) {
      CHECK_THROWS(parallel_parts(2,
                                  [&](int part) {
                                    if (part == thrower) throw std::runtime_error("from a part");
                                  }),
                   std::runtime_error, "from a part");
    }
    CHECK_THROWS(parallel_parts(5, [](int) { throw std::out_of_range("from all"); }),
                 std::out_of_range, "from all");
  }
  CHECK(visits_each_once(100, 1));
}

TEST(nested_loops_run_inline_with_the_same_split) {
  set_num_threads(3);
  const auto plain = ranges_of(100, 1);
  CHECK(plain.size() == 3);
  std::vector<char> same(3, 0), inline_only(3, 1);
  parallel_parts(3, [&](int part) {
    const auto thread = std::this_thread::get_id();
    same[static_cast<size_t>(part)] = ranges_of(100, 1) == plain;
    parallel_parts(4, [&](int) {
      if (std::this_thread::get_id() != thread) inline_only[static_cast<size_t>(part)] = 0;
    });
  });
  for (size_t part = 0; part < 3; ++part) CHECK(same[part] && inline_only[part]);
}

TEST(callers_at_once_get_equal_results) {
  set_num_threads(2);
  // Sums of parts, rounded differently by any other split.
  const auto sum = [] {
    double partial[gu::kMaxThreads] = {};
    const int parts = gu::split_parts(10001, 1);
    parallel_parts(parts, [&](int part) {
      const gu::Range range = gu::part_range(10001, parts, part);
      for (int64_t i = range.begin; i < range.end; ++i)
        partial[part] += 1.0 / static_cast<double>(i + 1);
    });
    return std::accumulate(partial, partial + parts, 0.0);
  };
  const double expected = sum();
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        if (sum() != expected) ++wrong;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST(count_may_change_while_others_run) {
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::thread other([&] {
    while (!stop) {
      if (!visits_each_once(64, 1)) ++wrong;
    }
  });
  for (int i = 0; i < 2000; ++i) {
    set_num_threads(1 + i % 5);
    if (!visits_each_once(33, 1)) ++wrong;
  }
  stop = true;
  other.join();
  CHECK(wrong == 0);
}

TEST(parked_workers_wake) {
  set_num_threads(4);
  for (int i = 0; i < 20; ++i) {
    // Longer than a worker spins, so it is asleep in the kernel by now.
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    CHECK(visits_each_once(100, 1));
  }
  set_num_threads(2);
  CHECK(two_threads_meet());
}

TEST(caller_parks_while_a_worker_is_slow) {
  set_num_threads(3);
  std::atomic<int> done{0};
  parallel_parts(3, [&](int part) {
    std::this_thread::sleep_for(std::chrono::milliseconds(part == 0 ? 0 : 3 * part));
    ++done;
  });
  CHECK(done == 3);
}

// ThreadSanitizer does not support threads that a forked child makes, so these two are for plain
// builds.
#if !defined(__SANITIZE_THREAD__)
TEST(fork_while_idle) {
  set_num_threads(2);
  for (int i = 0; i < 5; ++i) {
    CHECK(visits_each_once(100, 1));
    // Straight after a job the workers still spin; after a pause they are parked.
    if (i % 2 == 1) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    CHECK(in_child([] {
      bool good = two_threads_meet() && visits_each_once(100, 1);
      set_num_threads(4);
      good = good && visits_each_once(1000, 1);
      // And once more, a child of the child.
      return good && in_child([] { return two_threads_meet() && visits_each_once(100, 1); });
    }));
    CHECK(two_threads_meet());
  }
}

TEST(fork_while_another_thread_runs_loops) {
  set_num_threads(3);
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) visits_each_once(256, 1);
  });
  for (int i = 0; i < 10; ++i) {
    CHECK(in_child([] { return two_threads_meet() && visits_each_once(100, 1); }));
  }
  stop = true;
  other.join();
  CHECK(two_threads_meet());
}
#endif

RUN_TESTS()
