#pragma once
// The pairs that may be merged.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "text/hash_bits.hpp"
#include "text/vocabulary.hpp"

namespace gu::text {

struct Merge {
  uint32_t left, right, result;
};

// What a pair of neighbours becomes, and when: the lowest order first.
struct Merged {
  uint32_t order, result;
};

// Pairs of ids to what they become: open addressing, at most half full. Most pairs that are asked
// for are not there.
class PairTable {
 public:
  explicit PairTable(std::size_t pairs = 0);
  // False if the pair is there already, which then stays as it was.
  bool insert(uint32_t left, uint32_t right, Merged merged);
  Merged find(uint32_t left, uint32_t right) const {
    const uint64_t h = hash(left, right);
    if (!bits_.may_hold(h)) return {kNoToken, kNoToken};
    for (std::size_t slot = h >> shift_;; slot = (slot + 1) & mask_) {
      const Slot& s = slots_[slot];
      if (s.left == left && s.right == right) return s.merged;
      if (s.merged.order == kNoToken) return {kNoToken, kNoToken};
    }
  }

 private:
  struct Slot {
    uint32_t left = kNoToken, right = kNoToken;
    Merged merged{kNoToken, kNoToken};
  };
  static uint64_t hash(uint32_t left, uint32_t right) {
    return left * 0x9e3779b97f4a7c15u + right * 0xc2b2ae3d27d4eb4fu;
  }
  std::vector<Slot> slots_;
  std::size_t mask_;
  int shift_;
  HashBits bits_;
};

}  // namespace gu::text
