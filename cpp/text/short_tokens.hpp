#pragma once
// Short pieces as keys of a table: compared, hashed and copied as two words.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "text/hash_bits.hpp"
#include "text/vocabulary.hpp"

namespace gu::text {

static_assert(std::endian::native == std::endian::little, "keys are little-endian");

inline constexpr std::size_t kShortBytes = 15;

// A piece of 1 to 15 bytes as two words: its bytes, zeros, and in the last byte how many there are.
struct Key {
  uint64_t low, high;
  bool operator==(const Key&) const = default;
  uint64_t hash() const { return (low ^ (high * 0xc2b2ae3d27d4eb4f)) * 0x9e3779b97f4a7c15; }
};

// The key of n bytes at p, 1 to 15, of which `readable` may be read.
[[gnu::always_inline]] inline Key short_key(const uint8_t* p, std::size_t n, std::size_t readable) {
  constexpr auto masks = [] {
    std::array<Key, 16> table{};
    for (std::size_t i = 0; i < 16; ++i) {
      table[i].low = i >= 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * i)) - 1;
      table[i].high = i <= 8 ? 0 : (uint64_t{1} << (8 * (i - 8))) - 1;
    }
    return table;
  }();
  Key key{0, 0};
  if (readable >= 16) [[likely]] {
    std::memcpy(&key, p, 16);
    key.low &= masks[n].low;
    key.high &= masks[n].high;
  } else {
    std::memcpy(&key, p, n);
  }
  key.high |= static_cast<uint64_t>(n) << 56;
  return key;
}

// The tokens of up to 15 bytes that a piece may become as a whole, by key: open addressing, at most
// two thirds full.
class ShortTokens {
 public:
  explicit ShortTokens(std::size_t tokens = 0);
  void insert(Key key, uint32_t id);
  uint32_t find(Key key) const {
    const uint64_t h = key.hash();
    if (!bits_.may_hold(h)) return kNoToken;
    for (std::size_t slot = h >> shift_;; slot = (slot + 1) & mask_) {
      const Slot& s = slots_[slot];
      if (s.key == key) return s.id;
      if (s.id == kNoToken) return kNoToken;
    }
  }

 private:
  struct Slot {
    Key key{0, 0};
    uint32_t id = kNoToken;
  };
  std::vector<Slot> slots_;
  std::size_t mask_;
  int shift_;
  HashBits bits_;
};

}  // namespace gu::text
