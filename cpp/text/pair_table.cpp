#include "text/pair_table.hpp"

#include <algorithm>
#include <bit>

namespace gu::text {

PairTable::PairTable(std::size_t pairs)
    : slots_(std::size_t{1} << std::max(1, static_cast<int>(std::bit_width(2 * pairs)))),
      mask_(slots_.size() - 1),
      shift_(64 - std::countr_zero(slots_.size())),
      bits_(2 * slots_.size()) {}

bool PairTable::insert(uint32_t left, uint32_t right, Merged merged) {
  const uint64_t h = hash(left, right);
  bits_.add(h);
  std::size_t slot = h >> shift_;
  while (slots_[slot].merged.order != kNoToken) {
    if (slots_[slot].left == left && slots_[slot].right == right) return false;
    slot = (slot + 1) & mask_;
  }
  slots_[slot] = {left, right, merged};
  return true;
}

}  // namespace gu::text
