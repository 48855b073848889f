#include "text/short_tokens.hpp"

#include <algorithm>
#include <bit>

namespace gu::text {

ShortTokens::ShortTokens(std::size_t tokens)
    : slots_(std::size_t{1} << std::max(1, static_cast<int>(std::bit_width(tokens + tokens / 2)))),
      mask_(slots_.size() - 1),
      shift_(64 - std::countr_zero(slots_.size())),
      bits_(slots_.size()) {}

void ShortTokens::insert(Key key, uint32_t id) {
  const uint64_t h = key.hash();
  bits_.add(h);
  std::size_t slot = h >> shift_;
  while (slots_[slot].id != kNoToken) slot = (slot + 1) & mask_;
  slots_[slot] = {key, id};
}

}  // namespace gu::text
