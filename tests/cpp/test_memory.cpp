// The caching allocator: sizes, reuse, limits, statistics, threads and fork.
#include "core/memory.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "check.hpp"

using gu::allocate;
using gu::block_size;
using gu::deallocate;
using gu::empty_cache;
using gu::memory_stats;

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kCaching = false;  // the allocator passes every call on, for AddressSanitizer to see
#else
constexpr bool kCaching = true;
#endif

template <class F>
bool in_child(F body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(body() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool is_aligned(const void* block) {
  return reinterpret_cast<std::uintptr_t>(block) % gu::kAlignment == 0;
}

}  // namespace

// First in the file: the variable is read at the first allocation.
TEST(environment_poisons_or_is_refused) {
  CHECK(in_child([] {
    setenv("GROUNDUP_MEMORY", "poison", 1);
    bool all_nan = true;
    for (int repeat = 0; repeat < 2; ++repeat) {  // the second time the block comes from the cache
      auto* x = static_cast<float*>(allocate(100 * sizeof(float)));
      for (int i = 0; i < 100; ++i) {
        all_nan = all_nan && std::isnan(x[i]);
        x[i] = 1.0f;
      }
      deallocate(x, 100 * sizeof(float));
    }
    return all_nan;
  }));
  CHECK(in_child([] {
    setenv("GROUNDUP_MEMORY", "zero", 1);
    try {
      allocate(8);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what()) ==
             "[memory] GROUNDUP_MEMORY must be 'poison' or unset, but got 'zero'";
    }
    return false;
  }));
}

TEST(block_sizes_waste_little) {
  CHECK(block_size(0) == 64);
  CHECK(block_size(1) == 64);
  CHECK(block_size(64) == 64);
  CHECK(block_size(65) == 128);
  CHECK(block_size(512) == 512);
  CHECK(block_size(513) == 576);
  CHECK(block_size(1024) == 1024);
  CHECK(block_size(1025) == 1152);
  std::size_t previous = 0;
  for (std::size_t bytes = 1; bytes < (std::size_t{1} << 46); bytes += 1 + bytes / 37) {
    const std::size_t size = block_size(bytes);
    CHECK(size >= bytes && size >= previous && size % 64 == 0);
    CHECK(block_size(size) == size);
    CHECK(static_cast<double>(size - bytes) <= std::max(63.0, 0.125 * static_cast<double>(bytes)));
    previous = size;
  }
  CHECK(block_size(std::size_t{1} << 46) == std::size_t{1} << 46);
}

TEST(blocks_are_aligned_writable_and_apart) {
  std::vector<std::pair<unsigned char*, std::size_t>> blocks;
  for (std::size_t bytes : {0, 1, 63, 64, 65, 511, 513, 4096, 100'000, 3'000'001}) {
    auto* block = static_cast<unsigned char*>(allocate(bytes));
    CHECK(block != nullptr && is_aligned(block));
    std::memset(block, static_cast<int>(blocks.size()), bytes);
    blocks.push_back({block, bytes});
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto [block, bytes] = blocks[i];
    CHECK(bytes == 0 || (block[0] == i && block[bytes - 1] == i));
    deallocate(block, bytes);
  }
  deallocate(nullptr, 100);
}

TEST(freed_blocks_are_reused) {
  empty_cache();
  void* first = allocate(10'000);
  deallocate(first, 10'000);
  const auto before = memory_stats();
  void* second = allocate(10'100);  // the same bucket
  CHECK(block_size(10'000) == block_size(10'100));
  if (kCaching) CHECK(second == first);
  CHECK(memory_stats().hits == before.hits + (kCaching ? 1 : 0));
  CHECK(memory_stats().allocations == before.allocations + 1);
  deallocate(second, 10'100);
}

TEST(statistics_add_up) {
  empty_cache();
  gu::reset_peak();
  const auto start = memory_stats();
  CHECK(start.peak == start.live && start.cached == 0);
  void* a = allocate(1000);
  void* b = allocate(100'000);
  const std::size_t both = block_size(1000) + block_size(100'000);
  CHECK(memory_stats().live == start.live + both);
  deallocate(b, 100'000);
  CHECK(memory_stats().live == start.live + block_size(1000));
  CHECK(memory_stats().peak == start.live + both);
  CHECK(memory_stats().cached == (kCaching ? block_size(100'000) : 0));
  deallocate(a, 1000);
  gu::reset_peak();
  CHECK(memory_stats().peak == start.live);
  empty_cache();
  CHECK(memory_stats().cached == 0);
  CHECK(memory_stats().live == start.live);
}

TEST(cache_is_capped_and_drops_the_stalest_size) {
  empty_cache();
  const std::size_t mega = std::size_t{1} << 20;
  // Four live at most, then eight different sizes one at a time: only so much may stay cached.
  std::vector<void*> blocks;
  for (int i = 0; i < 4; ++i) blocks.push_back(allocate(mega));
  const std::size_t most = memory_stats().live;
  for (void* block : blocks) deallocate(block, mega);
  for (std::size_t eighths = 9; eighths <= 16; ++eighths) {
    deallocate(allocate(mega / 8 * eighths), mega / 8 * eighths);
    CHECK(memory_stats().cached <= most);
  }
  // What was used last is still there, what was used first has gone.
  auto hits = memory_stats().hits;
  deallocate(allocate(2 * mega), 2 * mega);
  CHECK(memory_stats().hits == hits + (kCaching ? 1 : 0));
  hits = memory_stats().hits;
  deallocate(allocate(mega), mega);
  CHECK(memory_stats().hits == hits);
}

TEST(absurd_sizes_have_no_effect) {
  void* kept = allocate(5000);
  deallocate(allocate(7000), 7000);
  const auto before = memory_stats();
  for (std::size_t bytes :
       {~std::size_t{0}, ~std::size_t{0} - 63, std::size_t{1} << 63, (std::size_t{1} << 46) + 1}) {
    bool thrown = false;
    try {
      allocate(bytes);
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    CHECK(thrown);
  }
  const auto after = memory_stats();
  CHECK(after.live == before.live && after.peak == before.peak && after.cached == before.cached);
  CHECK(after.allocations == before.allocations && after.hits == before.hits);
  deallocate(kept, 5000);
}

TEST(threads_share_it) {
  const auto before = memory_stats();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      std::vector<std::pair<unsigned char*, std::size_t>> mine;
      for (int i = 0; i < 5000; ++i) {
        if (mine.size() < 20 && random() % 2 == 0) {
          const std::size_t bytes = 1 + random() % 20'000;
          auto* block = static_cast<unsigned char*>(allocate(bytes));
          block[0] = block[bytes - 1] = static_cast<unsigned char>(t);
          mine.push_back({block, bytes});
        } else if (!mine.empty()) {
          std::swap(mine[random() % mine.size()], mine.back());
          const auto [block, bytes] = mine.back();
          if (block[0] != t || block[bytes - 1] != t) ++wrong;
          deallocate(block, bytes);
          mine.pop_back();
        }
      }
      for (const auto& [block, bytes] : mine) deallocate(block, bytes);
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(memory_stats().live == before.live);
}

// AddressSanitizer's own allocator may be locked in the child of such a fork; ours is what is
// tested.
#if !defined(__SANITIZE_ADDRESS__)
TEST(fork_while_another_thread_allocates) {
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) deallocate(allocate(3000), 3000);
  });
  for (int i = 0; i < 20; ++i) {
    CHECK(in_child([] {
      void* block = allocate(3000);
      deallocate(block, 3000);
      return block != nullptr;
    }));
  }
  stop = true;
  other.join();
}
#endif

RUN_TESTS()
