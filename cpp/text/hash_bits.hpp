#pragma once
// A set of hashes that may say yes to one it does not hold, but is small enough for the nearest
// caches: asked before a large table, of what is mostly not there.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gu::text {

class HashBits {
 public:
  // 4 bits or more for each of the slots of a table.
  explicit HashBits(std::size_t slots)
      : bits_(std::bit_ceil(std::max<std::size_t>(slots / 16, 2))),
        shift_(64 - std::countr_zero(bits_.size())) {}
  void add(uint64_t hash) { bits_[hash >> shift_] |= uint64_t{1} << bit(hash); }
  bool may_hold(uint64_t hash) const { return bits_[hash >> shift_] >> bit(hash) & 1; }

 private:
  int bit(uint64_t hash) const { return static_cast<int>(hash >> (shift_ - 6) & 63); }

  std::vector<uint64_t> bits_;
  int shift_;
};

}  // namespace gu::text
