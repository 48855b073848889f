#include "text/pair_table.hpp"

#include <algorithm>
#include <bit>

namespace gu::text {

PairTable::PairTable(std::size_t pairs) {
  const int bits = std::max(1, static_cast<int>(std::bit_width(2 * pairs)));
  slots_.resize(std::size_t{1} << bits);
  mask_ = slots_.size() - 1;
  shift_ = 64 - bits;
  bits_.resize(std::max<std::size_t>(slots_.size() / 8, 2));
  bits_shift_ = 64 - std::countr_zero(bits_.size());
}

bool PairTable::insert(uint32_t left, uint32_t right, Merged merged) {
  const uint64_t h = hash(left, right);
  bits_[h >> bits_shift_] |= uint64_t{1} << (h >> (bits_shift_ - 6) & 63);
  std::size_t slot = h >> shift_;
  while (slots_[slot].merged.order != kNoToken) {
    if (slots_[slot].left == left && slots_[slot].right == right) return false;
    slot = (slot + 1) & mask_;
  }
  slots_[slot] = {left, right, merged};
  return true;
}

}  // namespace gu::text
