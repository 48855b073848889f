// The allocator of tensor memory: freed blocks are kept by size and handed out again.
//
// A training step asks for the same sizes over and over. Without the cache the system's allocator
// returns large blocks to the kernel, and each step pays for mapping and zeroing their pages again.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gu {

inline constexpr std::size_t kAlignment = 64;  // a cache line, and the widest vector register

// A block of at least `bytes`, aligned to kAlignment; what it holds is undefined
// (GROUNDUP_MEMORY=poison fills it with 0xFF bytes: NaN as any float, -1 as an integer). Nothing
// past `bytes` may be touched. Zero bytes give a unique block. Throws std::bad_alloc, and leaves
// everything as it was, where that much cannot be had.
void* allocate(std::size_t bytes);

// Gives back what allocate(bytes) returned, with the same `bytes`; a null pointer is ignored.
void deallocate(void* block, std::size_t bytes) noexcept;

// The size allocate really takes: a power of two or one of the seven steps between it and the next
// (waste below 12.5 %), in multiples of 64 bytes.
std::size_t block_size(std::size_t bytes);

// Bytes are block sizes, so rounding is included.
struct MemoryStats {
  std::size_t live;           // in blocks now in use
  std::size_t peak;           // the most `live` has been since the start or the last reset_peak()
  std::size_t cached;         // in free blocks kept for reuse
  std::uint64_t allocations;  // calls of allocate() that succeeded
  std::uint64_t hits;         // those served from the cache
};

MemoryStats memory_stats();
void reset_peak();   // peak = live
void empty_cache();  // gives every cached block back to the system

}  // namespace gu
