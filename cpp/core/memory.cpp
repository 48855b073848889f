#include "core/memory.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define GU_HAS_FORK 1
#endif

#if defined(__SANITIZE_ADDRESS__)
#define GU_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GU_ADDRESS_SANITIZER 1
#endif
#endif

namespace gu {
namespace {

// Under AddressSanitizer every block is the system's own and exactly as long as asked for, so that
// it sees each use after free and each overrun.
#if defined(GU_ADDRESS_SANITIZER)
constexpr bool kCache = false;
#else
constexpr bool kCache = true;
#endif

// More than any machine has; below it no computation on sizes can overflow.
constexpr std::size_t kMaxBytes = std::size_t{1} << 46;

// Sizes up to 512 go by 64 bytes; from there each octave (2^k, 2^(k+1)] has eight sizes.
constexpr std::size_t kLinear = 512;
constexpr int kLinearBuckets = 8;
constexpr int kSteps = 8;
constexpr int kBuckets = kLinearBuckets + (46 - 9) * kSteps + 1;

struct Bucket {
  int index;
  std::size_t size;
};

Bucket bucket_for(std::size_t bytes) {
  if (bytes <= kLinear) {
    const std::size_t lines = std::max<std::size_t>((bytes + kAlignment - 1) / kAlignment, 1);
    return {static_cast<int>(lines), lines * kAlignment};
  }
  const int octave = std::bit_width(bytes - 1) - 1;  // 2^octave < bytes <= 2^(octave + 1)
  const std::size_t base = std::size_t{1} << octave, step = base / kSteps;
  const std::size_t steps = (bytes - base + step - 1) / step;  // 1..8
  return {kLinearBuckets + (octave - 9) * kSteps + static_cast<int>(steps), base + steps * step};
}

void* system_allocate(std::size_t size) noexcept {
  return ::operator new (size, std::align_val_t{kAlignment}, std::nothrow);
}

void system_free(void* block) noexcept { ::operator delete (block, std::align_val_t{kAlignment}); }

bool poison_wanted() {
  const char* value = std::getenv("GROUNDUP_MEMORY");
  if (value == nullptr || *value == '\0') return false;
  if (std::string_view(value) == "poison") return true;
  throw std::invalid_argument("[memory] GROUNDUP_MEMORY must be 'poison' or unset, but got '" +
                              std::string(value) + "'");
}

// A free block holds the link to the next one of its bucket.
struct FreeBlock {
  FreeBlock* next;
};

class Allocator {
 public:
  void* allocate(std::size_t bytes) {
    static const bool poison = poison_wanted();
    if (bytes > kMaxBytes) throw std::bad_alloc();
    const Bucket bucket = bucket_for(bytes);
    void* block = take(bucket);
    if (block == nullptr) block = make(bucket, bytes);
    if (poison) std::memset(block, 0xFF, bytes);
    return block;
  }

  void deallocate(void* block, std::size_t bytes) noexcept {
    const Bucket bucket = bucket_for(bytes);
    FreeBlock* evicted = nullptr;
    {
      const std::lock_guard lock(mutex_);
      stats_.live -= bucket.size;
      if constexpr (kCache) {
        // Cached memory never exceeds the most that was ever live, so a process needs at most twice
        // that.
        while (stats_.cached > 0 && stats_.cached + bucket.size > high_water_) evict_one(evicted);
        List& list = lists_[bucket.index];
        list.head = new (block) FreeBlock{list.head};
        list.last_use = ++clock_;
        stats_.cached += bucket.size;
      }
    }
    if constexpr (!kCache) system_free(block);
    free_chain(evicted);
  }

  MemoryStats stats() {
    const std::lock_guard lock(mutex_);
    return stats_;
  }

  void reset_peak() {
    const std::lock_guard lock(mutex_);
    stats_.peak = stats_.live;
  }

  void empty_cache() {
    FreeBlock* evicted = nullptr;
    {
      const std::lock_guard lock(mutex_);
      while (stats_.cached > 0) evict_one(evicted);
      high_water_ = stats_.live;
    }
    free_chain(evicted);
  }

  std::mutex& mutex() { return mutex_; }

 private:
  struct List {
    FreeBlock* head = nullptr;
    std::size_t size = 0;  // of its blocks
    std::uint64_t last_use = 0;
  };

  // A cached block, or null.
  void* take(const Bucket& bucket) {
    const std::lock_guard lock(mutex_);
    List& list = lists_[bucket.index];
    list.size = bucket.size;
    list.last_use = ++clock_;
    FreeBlock* block = list.head;
    if (block == nullptr) return nullptr;
    list.head = block->next;
    stats_.cached -= bucket.size;
    ++stats_.hits;
    count_live(bucket.size);
    return block;
  }

  // A new block from the system; if it refuses, the cache is emptied for a second try.
  void* make(const Bucket& bucket, std::size_t bytes) {
    const std::size_t size = kCache ? bucket.size : std::max<std::size_t>(bytes, 1);
    void* block = system_allocate(size);
    if (block == nullptr) {
      empty_cache();
      block = system_allocate(size);
      if (block == nullptr) throw std::bad_alloc();
    }
    const std::lock_guard lock(mutex_);
    count_live(bucket.size);
    return block;
  }

  void count_live(std::size_t size) {
    ++stats_.allocations;
    stats_.live += size;
    stats_.peak = std::max(stats_.peak, stats_.live);
    high_water_ = std::max(high_water_, stats_.live);
  }

  // Moves a block of the size longest unused onto the chain of those to free once the lock is let
  // go.
  void evict_one(FreeBlock*& chain) {
    List* oldest = nullptr;
    for (List& list : lists_) {
      if (list.head != nullptr && (oldest == nullptr || list.last_use < oldest->last_use))
        oldest = &list;
    }
    FreeBlock* block = oldest->head;
    oldest->head = block->next;
    stats_.cached -= oldest->size;
    block->next = chain;
    chain = block;
  }

  static void free_chain(FreeBlock* chain) noexcept {
    while (chain != nullptr) {
      FreeBlock* next = chain->next;
      system_free(chain);
      chain = next;
    }
  }

  std::mutex mutex_;
  MemoryStats stats_{};
  std::size_t high_water_ = 0;  // the most `live` has been since the last empty_cache()
  std::uint64_t clock_ = 0;
  List lists_[kBuckets];
};

// Never destroyed: tensors may be freed while the process exits.
Allocator& allocator() {
  static Allocator* const instance = [] {
    auto* made = new Allocator;
#if GU_HAS_FORK
    // A fork waits for whoever holds the lock, so the child never inherits it held by a thread it
    // lacks.
    pthread_atfork([] { allocator().mutex().lock(); }, [] { allocator().mutex().unlock(); },
                   [] { allocator().mutex().unlock(); });
#endif
    return made;
  }();
  return *instance;
}

}  // namespace

void* allocate(std::size_t bytes) { return allocator().allocate(bytes); }

void deallocate(void* block, std::size_t bytes) noexcept {
  if (block != nullptr) allocator().deallocate(block, bytes);
}

std::size_t block_size(std::size_t bytes) {
  if (bytes > kMaxBytes) throw std::bad_alloc();
  return bucket_for(bytes).size;
}

MemoryStats memory_stats() { return allocator().stats(); }
void reset_peak() { allocator().reset_peak(); }
void empty_cache() { allocator().empty_cache(); }

}  // namespace gu
