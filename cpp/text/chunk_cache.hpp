#pragma once
// What a stretch of bytes was encoded to, so that the words of a language are worked out once. Open
// addressing over two flat arrays; when either is full everything is forgotten.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace gu::text {

class ChunkCache {
 public:
  static constexpr std::size_t kLongest = 64;  // longer stretches are rarely seen twice

  // Whether the ids of text[0, size) are known; sets them, valid until the next `add`.
  bool find(const uint8_t* text, std::size_t size, std::span<const uint32_t>& ids) const {
    if (slots_.empty()) return false;
    const uint64_t h = hash(text, size);
    for (std::size_t i = h & kMask;; i = (i + 1) & kMask) {
      const Slot& s = slots_[i];
      if (s.size == 0) return false;
      if (s.hash == static_cast<uint32_t>(h >> 32) && s.size == size &&
          std::memcmp(keys_.data() + s.key, text, size) == 0) {
        ids = {ids_.data() + s.first, s.count};
        return true;
      }
    }
  }

  // Remember the ids of a stretch that `find` did not know.
  void add(const uint8_t* text, std::size_t size, const uint32_t* ids, std::size_t count) {
    if (size == 0 || size > kLongest) return;
    if (slots_.empty()) slots_.resize(kMask + 1);
    if (used_ > kMask / 2 || keys_.size() > kMost || ids_.size() > kMost) {
      slots_.assign(kMask + 1, Slot{});
      keys_.clear();
      ids_.clear();
      used_ = 0;
    }
    const uint64_t h = hash(text, size);
    std::size_t i = h & kMask;
    while (slots_[i].size != 0) i = (i + 1) & kMask;
    slots_[i] = {static_cast<uint32_t>(h >> 32), static_cast<uint32_t>(keys_.size()),
                 static_cast<uint32_t>(ids_.size()), static_cast<uint16_t>(count),
                 static_cast<uint16_t>(size)};
    keys_.insert(keys_.end(), text, text + size);
    ids_.insert(ids_.end(), ids, ids + count);
    ++used_;
  }

 private:
  static constexpr std::size_t kMask = (1u << 16) - 1;
  static constexpr std::size_t kMost = 1u << 20;  // key bytes, and ids
  struct Slot {
    uint32_t hash, key, first;
    uint16_t count, size;  // size 0: empty
  };

  // Multiply and mix, eight bytes at a time.
  static uint64_t hash(const uint8_t* text, std::size_t size) {
    constexpr uint64_t kPrime = 0x9E3779B97F4A7C15;
    uint64_t h = size * kPrime;
    for (; size >= 8; text += 8, size -= 8) {
      uint64_t word;
      std::memcpy(&word, text, 8);
      h = (h ^ word) * kPrime;
      h ^= h >> 32;
    }
    uint64_t word = 0;
    std::memcpy(&word, text, size);
    h = (h ^ word) * kPrime;
    h ^= h >> 29;
    h *= kPrime;
    return h ^ h >> 32;
  }

  std::vector<Slot> slots_;
  std::vector<uint8_t> keys_;
  std::vector<uint32_t> ids_;
  std::size_t used_ = 0;
};

}  // namespace gu::text
